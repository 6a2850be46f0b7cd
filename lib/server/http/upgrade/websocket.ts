/**
 * WebSocket (RFC 6455) for an HttpServer: `webSocket(request, options)` is the answer to a request that asks for it. A
 * request that does not, or asks in a wrong way, is answered 400, 403 or 426. Once open, the socket belongs to the
 * callbacks of the options, in every loop.
 */
import type { Agreement } from '../../../connection/websocket-terms.ts'
import { defaults } from '../../../sys/defaults.ts'
import { InflateFormat } from '../../../sys/inflate.ts'
import type { HeaderList } from '../../../wire/http1/header-list.ts'
import { answerDeflateOffers } from '../../../wire/websocket/deflate-extension.ts'
import { acceptOf, isKey, listHas, parseExtensions, WEBSOCKET_VERSION } from '../../../wire/websocket/handshake.ts'
import type { Connection } from '../../connection/connection.ts'
import type { ConnectionMachine } from '../../connection/connection-machine.ts'
import type { Driver } from '../../connection/driver.ts'
import type { HttpRequest } from '../request/http-request.ts'
import type { HttpResponse } from '../response/response.ts'
import { ServerWebSocket } from './server-websocket.ts'
import type { Upgrade } from './upgrade.ts'
import { WebSocketDriver } from './websocket-driver.ts'
import { checkWebSocketOptions, type WebSocketServerOptions } from './websocket-options.ts'

/** One set of options may serve any number of requests; it is checked once and must not change. */
export function webSocket(request: HttpRequest, options: WebSocketServerOptions): HttpResponse {
  checkWebSocketOptions(options)
  const { headers } = request
  if (!listHas(headers.getAll('upgrade'), 'websocket') || !listHas(headers.getAll('connection'), 'upgrade')) {
    return refusal(426, 'this address speaks WebSocket', [['Upgrade', 'websocket']])
  }
  if (request.method !== 'GET' || request.httpVersion !== '1.1') return refusal(400, 'an upgrade is a GET of HTTP/1.1')
  if (headers.get('sec-websocket-version') !== WEBSOCKET_VERSION) {
    return refusal(426, 'unknown version', [['Sec-WebSocket-Version', WEBSOCKET_VERSION]])
  }
  const key = headers.get('sec-websocket-key') ?? ''
  if (!isKey(key)) return refusal(400, 'Sec-WebSocket-Key is no key')
  if (options.verifyOrigin?.(headers.first('origin')) === false) return refusal(403, 'not for this origin')
  const protocol = chooseProtocol(headers, options.protocols ?? [])
  const deflate = chooseDeflate(headers, options)
  const fields: [string, string][] = [
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Accept', acceptOf(key)],
  ]
  if (protocol !== '') fields.push(['Sec-WebSocket-Protocol', protocol])
  if (deflate !== null) fields.push(['Sec-WebSocket-Extensions', deflate.answer])
  const agreement: Agreement = { protocol, terms: deflate?.terms ?? null }
  return { status: 101, headers: fields, upgrade: new WebSocketUpgrade(request, options, agreement) }
}

class WebSocketUpgrade implements Upgrade {
  readonly #request: HttpRequest
  readonly #options: WebSocketServerOptions
  readonly #agreement: Agreement

  constructor(request: HttpRequest, options: WebSocketServerOptions, agreement: Agreement) {
    this.#request = request
    this.#options = options
    this.#agreement = agreement
  }

  takeOver(machine: ConnectionMachine, connection: Connection, head: Uint8Array): Driver {
    const socket = new ServerWebSocket(machine, connection, this.#request, this.#agreement.protocol)
    const driver = new WebSocketDriver(machine, socket, this.#options, this.#agreement, head)
    socket.attach(driver.session)
    return driver
  }
}

function refusal(status: number, why: string, headers: readonly (readonly [string, string])[] = []): HttpResponse {
  return { status, headers: [...headers, ['Content-Type', 'text/plain']], body: `${why}\n` }
}

function chooseProtocol(headers: HeaderList, spoken: readonly string[]): string {
  if (spoken.length === 0) return ''
  const offered = headers.getAll('sec-websocket-protocol').flatMap((field) => field.split(','))
  return offered.map((name) => name.trim()).find((name) => spoken.includes(name)) ?? ''
}

function chooseDeflate(headers: HeaderList, options: WebSocketServerOptions): ReturnType<typeof answerDeflateOffers> {
  if (!(options.perMessageDeflate ?? true) || !defaults.inflateProvider.knows(InflateFormat.RAW)) return null
  return answerDeflateOffers(parseExtensions(headers.getAll('sec-websocket-extensions').join(', ')) ?? [])
}
