/**
 * The client's side of SOCKS, versions 4, 4a and 5 (RFC 1928, 1929), up to a granted CONNECT. No I/O, no clock.
 *   output                      bytes to send now; say `outputSent()` when all are out
 *   receive(bytes, start, end)  uses what belongs to the handshake, never more; returns the offset behind
 *   needed                      so many bytes of the reply are certainly still to come
 * What happens does not depend on how the replies are cut. Details of a failure are curl's CURLproxycode.
 */
import { isIP } from 'node:net'
import { ipBytes } from './ip-address.ts'

/** CURLproxycode, by name: those that can happen here. Numbers are curl's. */
export const ProxyCode = {
  BAD_ADDRESS_TYPE: 1,
  BAD_VERSION: 2,
  CLOSED: 3,
  IDENTD: 7,
  IDENTD_DIFFER: 8,
  LONG_HOSTNAME: 9,
  LONG_PASSWD: 10,
  LONG_USER: 11,
  NO_AUTH: 12,
  RECV_AUTH: 14,
  RECV_CONNECT: 15,
  RECV_REQACK: 16,
  REPLY_ADDRESS_TYPE_NOT_SUPPORTED: 17,
  REPLY_COMMAND_NOT_SUPPORTED: 18,
  REPLY_CONNECTION_REFUSED: 19,
  REPLY_GENERAL_SERVER_FAILURE: 20,
  REPLY_HOST_UNREACHABLE: 21,
  REPLY_NETWORK_UNREACHABLE: 22,
  REPLY_NOT_ALLOWED: 23,
  REPLY_TTL_EXPIRED: 24,
  REPLY_UNASSIGNED: 25,
  REQUEST_FAILED: 26,
  RESOLVE_HOST: 27,
  SEND_AUTH: 28,
  SEND_CONNECT: 29,
  SEND_REQUEST: 30,
  UNKNOWN_FAIL: 31,
  UNKNOWN_MODE: 32,
  USER_REJECTED: 33,
} as const
export type ProxyCodeName = keyof typeof ProxyCode
export type ProxyCode = (typeof ProxyCode)[ProxyCodeName]

export interface SocksRequest {
  readonly version: 4 | 5
  /** An IP address without brackets, or a name that the proxy resolves; with version 4 that makes it 4a. */
  readonly host: string
  readonly port: number
  /** null: without. Version 4 sends the user name alone. */
  readonly credentials: SocksCredentials | null
}

export interface SocksCredentials {
  readonly username: string
  readonly password: string
}

export interface SocksFault {
  readonly code: ProxyCodeName
  readonly message: string
}

export const SocksStatus = { PENDING: 0, DONE: 1, FAILED: 2 } as const
export type SocksStatus = (typeof SocksStatus)[keyof typeof SocksStatus]

/** What is sent, then what is read: request of version 4; greeting, login and request of version 5. */
const Stage = { REQUEST_4: 0, GREETING: 1, LOGIN: 2, REQUEST_5: 3 } as const
type Stage = (typeof Stage)[keyof typeof Stage]

/** Names, user names and passwords have one byte for their length. */
const TEXT_BYTES_MAX = 255
const NO_BYTES = new Uint8Array(0)
const CONNECT = 1
const AddressType = { IPV4: 1, NAME: 3, IPV6: 4 } as const
const Method = { NONE: 0, LOGIN: 2, REFUSED: 255 } as const
/** VER REP RSV ATYP, the longest address (length and 255 bytes), port. */
const REPLY_BYTES_MAX = 4 + 1 + TEXT_BYTES_MAX + 2

/** RFC 1928 §6, from 1 on. */
const REPLIES: readonly SocksFault[] = [
  { code: 'REPLY_GENERAL_SERVER_FAILURE', message: 'general SOCKS server failure' },
  { code: 'REPLY_NOT_ALLOWED', message: 'connection not allowed by ruleset' },
  { code: 'REPLY_NETWORK_UNREACHABLE', message: 'network unreachable' },
  { code: 'REPLY_HOST_UNREACHABLE', message: 'host unreachable' },
  { code: 'REPLY_CONNECTION_REFUSED', message: 'connection refused' },
  { code: 'REPLY_TTL_EXPIRED', message: 'TTL expired' },
  { code: 'REPLY_COMMAND_NOT_SUPPORTED', message: 'command not supported' },
  { code: 'REPLY_ADDRESS_TYPE_NOT_SUPPORTED', message: 'address type not supported' },
]

/** Of version 4, from 91 on. */
const REPLIES_4: readonly SocksFault[] = [
  { code: 'REQUEST_FAILED', message: 'request rejected or failed' },
  { code: 'IDENTD', message: 'proxy cannot reach identd on the client' },
  { code: 'IDENTD_DIFFER', message: 'identd reports another user' },
]

export class SocksClient {
  status: SocksStatus = SocksStatus.PENDING
  /** After FAILED. */
  fault: SocksFault | null = null
  output: Uint8Array = NO_BYTES
  readonly #request: SocksRequest
  #stage: Stage
  readonly #reply = new Uint8Array(REPLY_BYTES_MAX)
  #length = 0
  /** Of the reply that is being read, as far as is known. */
  #total = 0

  constructor(request: SocksRequest) {
    this.#request = request
    this.#stage = request.version === 4 ? Stage.REQUEST_4 : Stage.GREETING
    const fault = refusal(request)
    if (fault !== null) this.#fail(fault.code, fault.message)
    else if (request.version === 4) this.#say(Stage.REQUEST_4, requestVersion4(request), 8)
    else {
      const methods = request.credentials === null ? [Method.NONE] : [Method.NONE, Method.LOGIN]
      this.#say(Stage.GREETING, Uint8Array.of(5, methods.length, ...methods), 2)
    }
  }

  /** 0 while there is something to send first, and at the end. */
  get needed(): number {
    return this.output.length > 0 || this.status !== SocksStatus.PENDING ? 0 : this.#total - this.#length
  }

  outputSent(): void {
    this.output = NO_BYTES
  }

  /** Only when there is no output. */
  receive(bytes: Uint8Array, start: number, end: number): number {
    let at = start
    while (at < end && this.needed > 0) {
      this.#reply[this.#length++] = bytes[at++] as number
      this.#judge()
    }
    return at
  }

  /** The connection ended. */
  receiveEof(): void {
    if (this.status === SocksStatus.PENDING) this.#fail('CLOSED', `connection closed ${this.describeStage()}`)
  }

  /** What failed when reading or sending does. */
  get codeOfReceiving(): ProxyCodeName {
    if (this.#stage === Stage.LOGIN) return 'RECV_AUTH'
    return this.#stage === Stage.GREETING ? 'RECV_CONNECT' : 'RECV_REQACK'
  }

  get codeOfSending(): ProxyCodeName {
    if (this.#stage === Stage.LOGIN) return 'SEND_AUTH'
    return this.#stage === Stage.GREETING ? 'SEND_CONNECT' : 'SEND_REQUEST'
  }

  describeStage(): string {
    if (this.#stage === Stage.GREETING) return 'in the greeting'
    return this.#stage === Stage.LOGIN ? 'in the login' : 'before the request was granted'
  }

  #judge(): void {
    if (this.#stage === Stage.REQUEST_4) this.#judgeReply4()
    else if (this.#stage === Stage.GREETING) this.#judgeMethod()
    else if (this.#stage === Stage.LOGIN) this.#judgeLogin()
    else this.#judgeReply()
  }

  #judgeReply4(): void {
    const reply = this.#reply
    if (this.#length === 1 && reply[0] !== 0) this.#failVersion(0)
    else if (this.#length === 2 && reply[1] !== 90) {
      const code = reply[1] as number
      const known = REPLIES_4[code - 91]
      if (known !== undefined) this.#fail(known.code, known.message)
      else this.#fail('UNKNOWN_FAIL', `unknown reply ${code}`)
    } else if (this.#length === this.#total) this.status = SocksStatus.DONE
  }

  #judgeMethod(): void {
    const [version, method] = this.#reply
    if (this.#length === 1) {
      if (version !== 5) this.#failVersion(5)
      return
    }
    const { credentials } = this.#request
    if (method === Method.NONE) this.#sayRequest()
    else if (method === Method.LOGIN && credentials !== null) this.#say(Stage.LOGIN, login(credentials), 2)
    else if (method === Method.REFUSED) {
      const offered = credentials === null ? 'without a user name' : 'offered'
      this.#fail('NO_AUTH', `proxy accepts no authentication method ${offered}`)
    } else this.#fail('UNKNOWN_MODE', `proxy chose authentication method ${method}, which was not offered`)
  }

  #judgeLogin(): void {
    // The version of this exchange, the first byte, is wrong in some servers; the status is what counts.
    if (this.#length < 2) return
    if (this.#reply[1] === 0) this.#sayRequest()
    else this.#fail('USER_REJECTED', `user was rejected by the proxy (${this.#reply[1]})`)
  }

  #judgeReply(): void {
    const reply = this.#reply
    const code = reply[1] as number
    if (this.#length === 1 && reply[0] !== 5) this.#failVersion(5)
    else if (this.#length === 2 && code !== 0) {
      const known = REPLIES[code - 1] ?? { code: 'REPLY_UNASSIGNED', message: `unknown reply ${code}` }
      this.#fail(known.code, known.message)
    } else if (this.#length === 4) {
      const type = reply[3]
      if (type === AddressType.IPV4) this.#total = 10
      else if (type === AddressType.IPV6) this.#total = 22
      else if (type === AddressType.NAME) this.#total = 5
      else this.#fail('BAD_ADDRESS_TYPE', `unknown address type ${type} in the reply`)
    } else if (this.#length === 5 && reply[3] === AddressType.NAME) this.#total = 7 + (reply[4] as number)
    else if (this.#length > 4 && this.#length === this.#total) this.status = SocksStatus.DONE
  }

  #sayRequest(): void {
    const { host, port } = this.#request
    const address = ipBytes(host)
    const head = [5, CONNECT, 0]
    const tail = [port >> 8, port & 255]
    if (address !== null) {
      const type = address.length === 4 ? AddressType.IPV4 : AddressType.IPV6
      this.#say(Stage.REQUEST_5, Uint8Array.of(...head, type, ...address, ...tail), 4)
      return
    }
    const name = Buffer.from(host)
    this.#say(Stage.REQUEST_5, Uint8Array.of(...head, AddressType.NAME, name.length, ...name, ...tail), 4)
  }

  #say(stage: Stage, output: Uint8Array, replyBytes: number): void {
    this.#stage = stage
    this.output = output
    this.#length = 0
    this.#total = replyBytes
  }

  #failVersion(expected: number): void {
    this.#fail('BAD_VERSION', `reply of version ${this.#reply[0]} where ${expected} was expected; is it a SOCKS proxy?`)
  }

  #fail(code: ProxyCodeName, message: string): void {
    this.status = SocksStatus.FAILED
    this.fault = { code, message }
    this.output = NO_BYTES
  }
}

/** What cannot be asked at all. */
function refusal({ version, host, credentials }: SocksRequest): SocksFault | null {
  const hostBytes = Buffer.byteLength(host)
  if (hostBytes === 0 || hostBytes > TEXT_BYTES_MAX) {
    return { code: 'LONG_HOSTNAME', message: `host name of ${hostBytes} bytes; 1 to ${TEXT_BYTES_MAX} are allowed` }
  }
  // A NUL ends a text of version 4: what follows would be read as something else.
  if (host.includes('\0')) return { code: 'RESOLVE_HOST', message: 'host name contains a NUL' }
  if (credentials === null) return null
  const { username, password } = credentials
  if (Buffer.byteLength(username) > TEXT_BYTES_MAX) {
    return { code: 'LONG_USER', message: `user name longer than ${TEXT_BYTES_MAX} bytes` }
  }
  if (version === 4) {
    return username.includes('\0') ? { code: 'UNKNOWN_FAIL', message: 'user name contains a NUL' } : null
  }
  if (Buffer.byteLength(password) > TEXT_BYTES_MAX) {
    return { code: 'LONG_PASSWD', message: `password longer than ${TEXT_BYTES_MAX} bytes` }
  }
  return null
}

function requestVersion4({ host, port, credentials }: SocksRequest): Uint8Array {
  const user = Buffer.from(credentials?.username ?? '')
  const head = [4, CONNECT, port >> 8, port & 255]
  if (isIP(host) === 4) return Uint8Array.of(...head, ...(ipBytes(host) as Uint8Array), ...user, 0)
  // 4a: an address that cannot be one says that a name follows.
  return Uint8Array.of(...head, 0, 0, 0, 1, ...user, 0, ...Buffer.from(host), 0)
}

function login({ username, password }: SocksCredentials): Uint8Array {
  const user = Buffer.from(username)
  const secret = Buffer.from(password)
  return Uint8Array.of(1, user.length, ...user, secret.length, ...secret)
}
