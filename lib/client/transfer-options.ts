/**
 * The options of a transfer as users write them: curl's, spelled in camelCase words. Bytes handed to a callback are a
 * borrowed view, valid until it returns; `chunk.slice()` copies them. A callback that throws fails its own transfer
 * with ABORTED_BY_CALLBACK, the error kept as `cause`. Inside callbacks every call on a Multi obeys DESIGN's invariant
 * 6.
 */
import type { HeaderList, HeaderPairs, HeaderRecord } from '../wire/http1/header-list.ts'
import type { BodyFunction } from './body-function.ts'
import type { BodyOptions } from './body-options.ts'
import type { ConnectionOptions } from './connection-options.ts'
import type { HttpOptions } from './http-options.ts'
import type { RouteOptions } from './route-options.ts'
import type { TransferInfo } from './transfer-info.ts'
import type { WebSocketOptions } from './websocket-options.ts'

/** A response head, or a 1xx head. Owned by the receiver: it stays valid. */
export interface ResponseHead {
  readonly status: number
  /** The text after the status code; may be ''. */
  readonly reason: string
  readonly httpVersion: string
  readonly headers: HeaderList
}

export interface Progress {
  /** Body bytes so far. */
  readonly bytesReceived: number
  /** -1 while unknown. */
  readonly bytesToReceive: number
  readonly bytesSent: number
  readonly bytesToSend: number
}

/** What onDebug is told: a line of text, or bytes as they go over the wire. */
export type DebugKind = 'text' | 'headIn' | 'headOut' | 'dataIn' | 'dataOut'

export interface TransferOptions extends BodyOptions, ConnectionOptions, HttpOptions, RouteOptions, WebSocketOptions {
  /** 'http://host:port/path' or 'https://…', or 'tcp://host:port' for a raw transfer. CURLOPT_URL. */
  url: string
  /** Default 'GET'; with a body 'POST'. CURLOPT_CUSTOMREQUEST. */
  method?: string
  /**
   * Fields to send, in this order. Host, Accept, Content-Length and Transfer-Encoding are added unless given; a null
   * value takes an automatic one away. CURLOPT_HTTPHEADER.
   */
  headers?: HeaderRecord | HeaderPairs | Readonly<Record<string, string | readonly string[] | null>>
  /**
   * Bytes (not copied: leave them alone until the transfer ended), a string (UTF-8), or a callback. CURLOPT_POSTFIELDS,
   * CURLOPT_READFUNCTION.
   */
  body?: Uint8Array | string | BodyFunction | null
  /** Length of what a body callback will give; without it the body is sent chunked. CURLOPT_INFILESIZE_LARGE. */
  bodyLength?: number
  /** Trailer fields of a chunked request body, asked for when the body has ended. CURLOPT_TRAILERFUNCTION. */
  requestTrailers?: () => HeaderRecord | HeaderPairs
  /**
   * Connect only: the transfer is done once connected; then `send` and `receive`. The socket closes on `remove`.
   * CURLOPT_CONNECT_ONLY.
   */
  connectOnly?: boolean
  /**
   * Connect to this unix socket instead of the URL's host; '\0name' is an abstract one. CURLOPT_UNIX_SOCKET_PATH,
   * CURLOPT_ABSTRACT_UNIX_SOCKET.
   */
  unixSocketPath?: string
  /**
   * 'host:port:address[,address]…', '-host:port' or '*:port:address': answers instead of the system's. CURLOPT_RESOLVE.
   */
  resolve?: readonly string[]
  /** 4 or 6: only addresses of that family. CURLOPT_IPRESOLVE. */
  ipVersion?: 4 | 6 | null
  /** The whole transfer, waiting for a connection included. 0: none (default). CURLOPT_TIMEOUT_MS. */
  timeoutMs?: number
  /**
   * Until the connection is established, waiting included. Default 300,000. 0: the default. CURLOPT_CONNECTTIMEOUT_MS.
   */
  connectTimeoutMs?: number
  /** No byte either way for this long, while neither paused nor connecting. 0: none (default). */
  idleTimeoutMs?: number
  /** Head start of the first address family. Default 200. CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS. */
  happyEyeballsDelayMs?: number
  /** Open a new connection even when one is idle. CURLOPT_FRESH_CONNECT. */
  freshConnect?: boolean
  /** Close the connection afterwards. CURLOPT_FORBID_REUSE. */
  forbidReuse?: boolean
  /** Most bytes of a response head. Default 300 KiB. */
  maxHeadBytes?: number
  /** How often onProgress is called at the most. Default 1000, CURL's rate. */
  progressIntervalMs?: number
  /** Anything of yours. CURLOPT_PRIVATE. */
  data?: unknown
  /**
   * The response head, before any data; each one, where redirects or authentication ask again. CURLOPT_HEADERFUNCTION.
   */
  onHead?: (head: ResponseHead) => void
  /** Each 1xx head before it. */
  onInformational?: (head: ResponseHead) => void
  /** A piece of the response body. Borrowed: valid until it returns. CURLOPT_WRITEFUNCTION. */
  onData?: (chunk: Uint8Array) => void
  /** Trailer fields, after the last data of a chunked body. */
  onTrailers?: (trailers: HeaderList) => void
  /**
   * Every progressIntervalMs while the transfer runs, whatever the peer does, and once at its end.
   * CURLOPT_XFERINFOFUNCTION.
   */
  onProgress?: (progress: Progress) => void
  /** What happens, in words and bytes. Bytes are borrowed. CURLOPT_DEBUGFUNCTION. */
  onDebug?: (kind: DebugKind, content: string | Uint8Array, info: TransferInfo) => void
}
