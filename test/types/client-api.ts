/** What the compiler must accept and refuse of request, WebSockets and what clients keep. Nothing here runs. */
import {
  type CookieJar,
  Form,
  type HeaderList,
  type HstsEntry,
  HstsStore,
  type Multi,
  type Response,
  request,
  Transfer,
  type TransferInfo,
  type WebSocketFrame,
  type WebSocketFrameType,
  type WebSocketHandle,
  type WebSocketMessage,
  type WebSocketOpening,
  type WebSocketState,
  type WOULD_BLOCK,
} from '../../lib/index.ts'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_isSame: Same<A, B>): void {}

const URL_TEXT = 'http://x.test/'

async function* pieces(): AsyncGenerator<Uint8Array | string> {
  yield 'text'
  yield new Uint8Array(1)
}

export function requests(signal: AbortSignal, multi: Multi, jar: CookieJar): void {
  same<ReturnType<typeof request>, Promise<Response>>(true)
  void request(URL_TEXT)
  void request(new URL(URL_TEXT), { method: 'PUT', body: new Uint8Array(1), signal, multi })
  void request(URL_TEXT, { body: pieces(), bodyLength: 5, signal: null })
  void request(URL_TEXT, { body: new ReadableStream<Uint8Array>() })
  void request(URL_TEXT, { body: ['a', new Uint8Array(1)] })
  void request(URL_TEXT, { body: () => null })
  void request(URL_TEXT, { json: { any: ['thing', null] }, cookies: jar, hsts: new HstsStore(), followRedirects: true })
  void request(URL_TEXT, { form: new Form().add('name', 'value'), onProgress: ({ bytesSent }) => void bytesSent })
  void request(URL_TEXT, { resumeFrom: 5, keepSendingOnError: true, acceptEncoding: 'zstd' })
  // @ts-expect-error a number is no URL
  void request(5)
  // @ts-expect-error the response has its status and fields
  void request(URL_TEXT, { onHead: () => {} })
  // @ts-expect-error nor is its body told to a callback
  void request(URL_TEXT, { onData: () => {} })
  // @ts-expect-error a WebSocket is a Transfer
  void request('ws://x.test/', { onMessage: () => {} })
  // @ts-expect-error a raw connection as well
  void request(URL_TEXT, { connectOnly: true })
  // @ts-expect-error pieces are bytes or text
  void request(URL_TEXT, { body: [1, 2] })
  // @ts-expect-error an unknown key
  void request(URL_TEXT, { timeout: 5 })
  // @ts-expect-error undefined is not an option's value
  void request(URL_TEXT, { method: undefined })
}

export async function responses(response: Response): Promise<void> {
  same<typeof response.status, number>(true)
  same<typeof response.headers, HeaderList>(true)
  same<typeof response.trailers, HeaderList | null>(true)
  same<typeof response.info, TransferInfo>(true)
  same<Awaited<ReturnType<Response['json']>>, unknown>(true)
  const text: string = await response.text()
  const bytes: Uint8Array = await response.bytes()
  for await (const piece of response) same<typeof piece, Uint8Array<ArrayBuffer>>(true)
  for await (const piece of response.body) void piece.length
  response.discard()
  void text
  void bytes
  // @ts-expect-error what came is not the user's to set
  response.status = 200
  // @ts-expect-error JSON is whatever the server says: it must be looked at first
  void (await response.json()).name
  await using scoped = response
  void scoped.ok
}

export function webSocketOptions(): void {
  const transfer = new Transfer({
    url: 'ws://x.test/',
    protocols: ['chat'],
    onOpen: (opening) => same<typeof opening, WebSocketOpening>(true),
    onMessage: (message) => {
      same<typeof message, WebSocketMessage>(true)
      same<typeof message.type, 'text' | 'binary'>(true)
      const text: string = message.text()
      void text
    },
    onPing: (payload) => same<typeof payload, Uint8Array>(true),
    onSendable: () => {},
    maxMessageBytes: 5,
  })
  new Transfer({
    url: 'wss://x.test/',
    onFrame: (frame) => {
      same<typeof frame, WebSocketFrame>(true)
      same<typeof frame.type, WebSocketFrameType>(true)
    },
  })
  same<typeof transfer.webSocket, WebSocketHandle>(true)
  // @ts-expect-error one subprotocol is a list as well
  new Transfer({ url: 'ws://x.test/', protocols: 'chat' })
  // @ts-expect-error bytes are counted in numbers
  new Transfer({ url: 'ws://x.test/', maxQueuedBytes: '5' })
  // @ts-expect-error browsers' spelling
  new Transfer({ url: 'ws://x.test/', onmessage: () => {} })
}

export function webSocketCalls({ webSocket }: Transfer): void {
  same<typeof webSocket.state, WebSocketState>(true)
  same<ReturnType<WebSocketHandle['send']>, boolean>(true)
  same<ReturnType<WebSocketHandle['receive']>, WebSocketMessage | WebSocketFrame | typeof WOULD_BLOCK | null>(true)
  webSocket.send('text')
  webSocket.send(new Uint8Array(5), { type: 'text', isFinal: false, compress: false })
  webSocket.ping()
  webSocket.pong('payload')
  webSocket.close(1000, 'reason')
  // @ts-expect-error what is sent is text or bytes
  webSocket.send({ any: 'thing' })
  // @ts-expect-error an ArrayBuffer is seen through a view
  webSocket.send(new ArrayBuffer(5))
  // @ts-expect-error no such type
  webSocket.send('x', { type: 'json' })
  // @ts-expect-error codes are numbers
  webSocket.close('1000')
  // @ts-expect-error the state is not the user's to set
  webSocket.state = 'open'
}

export function stores(hsts: HstsStore, jar: CookieJar): void {
  same<ReturnType<HstsStore['entries']>, HstsEntry[]>(true)
  hsts.add({ host: 'x.test' })
  hsts.add({ host: 'x.test', includeSubDomains: true, expires: new Date() })
  new HstsStore({ entries: hsts.entries(), text: '' })
  new Transfer({ url: URL_TEXT, hsts, cookies: jar })
  // @ts-expect-error a host is needed
  hsts.add({ includeSubDomains: true })
  // @ts-expect-error an instant is a Date
  hsts.add({ host: 'x.test', expires: 5 })
  // @ts-expect-error a path is no store
  new Transfer({ url: URL_TEXT, hsts: 'hsts.txt' })
}
