/**
 * Where and how to listen: the options, their checks and their defaults. Exactly one of `port`, `path` and `fd` says
 * where. What contradicts itself is refused here, before anything is opened; what the system cannot do is its answer.
 */
import {
  type Check,
  checkOptions,
  isBoolean,
  isInteger,
  isObject,
  isText,
  show,
  wrongRange,
  wrongType,
} from '../../base/options.ts'
import { parseIpLiteral } from '../../connection/address.ts'
import { Family, type FileIdentity, type SocketAddress } from '../../sys/kernel.ts'

/** The system's own limit (somaxconn) cuts it down; libevent's 128 and Node's 511 are small. */
const BACKLOG = 65_535
/** Connections taken per wake-up, so that a flood of them does not starve the other machines. */
const ACCEPT_BUDGET = 64
const ACCEPT_BUDGET_LIMIT = 65_536
/** Pending connections that were not confirmed yet; as libmicrohttpd. */
const FAST_OPEN_QUEUE = 50
/** The kernel waits about so long for the first bytes; the least it takes. */
const DEFER_ACCEPT_SECONDS = 1
const MODE_MOST = 0o777
const PORT_MOST = 65_535
const FD_MOST = 2 ** 30

/**
 * A listening descriptor on its way from one owner to the next, with the connections that wait in its queue. Whoever
 * has it makes a Listener of it (`{ fd: handle }`); it is closed with its thread at the latest. To another thread it
 * goes as `{ ...handle, generation: kernel.offer(handle.fd) }`.
 */
export interface ListenHandle {
  readonly fd: number
  readonly generation: number
  readonly address: SocketAddress
  /** The file of a unix socket, removed by the last owner when it closes. */
  readonly file: FileIdentity | null
}

export interface ListenOptions {
  /**
   * An IP address, 'localhost' (127.0.0.1), or '*': every address of this machine, IPv6 and IPv4 on one socket where
   * there is IPv6. Default '*'.
   */
  host?: string
  /** 0 lets the system choose; `address` then says which. */
  port?: number
  /** A unix socket; '\0name' is an abstract one (Linux). */
  path?: string
  /** A bound or listening descriptor, as from `listenFds()`, or what `quiesce` returned. */
  fd?: number | ListenHandle
  /**
   * Connections that may wait to be accepted. Default: as many as the system allows. 0, with `fd` alone: it listens
   * already, and it is an error if not.
   */
  backlog?: number
  /** Bind although connections of an earlier run linger (SO_REUSEADDR). Default true; not for unix sockets. */
  reuseAddress?: boolean
  /** Several listeners on one port, between which the system spreads connections (SO_REUSEPORT). Default false. */
  reusePort?: boolean
  /** IPv6 alone. Always set explicitly, whatever the system's default is. Default false. */
  ipv6Only?: boolean
  /** Tell of a connection only when its first bytes have come (TCP_DEFER_ACCEPT), where there is such a thing. */
  deferAccept?: boolean
  /** Data in the first packet (TCP_FASTOPEN), where there is such a thing; a number is the length of its queue. */
  fastOpen?: boolean | number
  /**
   * What connections send leaves at once, however little it is (TCP_NODELAY, which they inherit). Default true; false,
   * and by default a ListenHandle in `fd`, leaves a descriptor as it is.
   */
  noDelay?: boolean
  /** Permission bits of a unix socket, exactly, whatever umask says; nobody sees it with others. */
  mode?: number
  /**
   * 'replace': a unix socket's file that nobody listens on any more is replaced; 'refuse' (the default): any file there
   * is EADDRINUSE.
   */
  stale?: 'refuse' | 'replace'
  /** Begin to accept at once. Default true. */
  enabled?: boolean
  /** Close the descriptor with the listener. Default true, but false for a bare number in `fd`. */
  closeOnEnd?: boolean
  /** Connections accepted per wake-up. Default 64. */
  acceptBudget?: number
  /** For the program's own use. */
  name?: string
}

export interface UnixTarget {
  readonly kind: 'unix'
  readonly address: SocketAddress
  /** null: what umask leaves. */
  readonly mode: number | null
  readonly replaceStale: boolean
}

export interface InternetTarget {
  readonly kind: 'internet'
  readonly address: SocketAddress
  /** Tried when there is no IPv6 here. */
  readonly fallback: SocketAddress | null
  readonly reuseAddress: boolean
  readonly reusePort: boolean
  readonly ipv6Only: boolean
  /** Seconds; 0 is off. */
  readonly deferAccept: number
  /** Length of the queue; 0 is off. */
  readonly fastOpen: number
}

export interface DescriptorTarget {
  readonly kind: 'fd'
  readonly fd: number
  /** null for a bare number. */
  readonly handle: ListenHandle | null
  readonly mustListen: boolean
}

export interface ListenSettings {
  readonly target: UnixTarget | InternetTarget | DescriptorTarget
  readonly backlog: number
  /** Of what is no unix socket. */
  readonly noDelay: boolean
  readonly enabled: boolean
  readonly closeOnEnd: boolean
  readonly acceptBudget: number
  readonly name: string
}

const isFastOpen: Check = (option, value) => {
  if (typeof value !== 'boolean') isInteger(0, FD_MOST)(option, value)
}

const isDescriptor: Check = (option, value) => {
  if (typeof value === 'number') return isInteger(0, FD_MOST)(option, value)
  isObject(option, value)
  const { fd, generation, address } = value as ListenHandle
  isInteger(0, FD_MOST)(`${option}.fd`, fd)
  isInteger(1, FD_MOST)(`${option}.generation`, generation)
  isObject(`${option}.address`, address)
}

const isPath: Check = (option, value) => {
  isText(option, value)
  const path = value as string
  if (path === '' || path.indexOf('\0', 1) >= 0) throw wrongRange(option, "a path, or '\\0' and a name", value)
}

const isStale: Check = (option, value) => {
  if (value !== 'refuse' && value !== 'replace') throw wrongRange(option, "'refuse' or 'replace'", value)
}

const CHECKS: Readonly<Record<keyof ListenOptions, Check>> = {
  host: isText,
  port: isInteger(0, PORT_MOST),
  path: isPath,
  fd: isDescriptor,
  backlog: isInteger(0, 2 ** 31 - 1),
  reuseAddress: isBoolean,
  reusePort: isBoolean,
  ipv6Only: isBoolean,
  deferAccept: isBoolean,
  fastOpen: isFastOpen,
  noDelay: isBoolean,
  mode: isInteger(0, MODE_MOST),
  stale: isStale,
  enabled: isBoolean,
  closeOnEnd: isBoolean,
  acceptBudget: isInteger(1, ACCEPT_BUDGET_LIMIT),
  name: isText,
}

const OF_INTERNET = ['host', 'port', 'reuseAddress', 'reusePort', 'ipv6Only', 'deferAccept', 'fastOpen'] as const
const OF_UNIX = ['path', 'mode', 'stale'] as const

/** Throws TypeError or RangeError, naming the option and the value. */
export function listenSettings(options: ListenOptions): ListenSettings {
  checkOptions('listen options', options, CHECKS)
  const { fd, backlog = BACKLOG } = options
  const target = targetOf(options)
  if (backlog === 0 && target.kind !== 'fd') {
    throw wrongRange('backlog', 'at least 1; 0 is for a descriptor that listens already', backlog)
  }
  return {
    target,
    backlog,
    noDelay: options.noDelay ?? typeof fd !== 'object',
    enabled: options.enabled ?? true,
    closeOnEnd: options.closeOnEnd ?? typeof fd !== 'number',
    acceptBudget: options.acceptBudget ?? ACCEPT_BUDGET,
    name: options.name ?? '',
  }
}

function targetOf(options: ListenOptions): ListenSettings['target'] {
  const { fd, path } = options
  if (fd !== undefined) {
    refuse(options, [...OF_INTERNET, ...OF_UNIX], 'fd, which is bound already')
    const handle = typeof fd === 'number' ? null : fd
    const mustListen = options.backlog === 0
    return { kind: 'fd', fd: typeof fd === 'number' ? fd : fd.fd, handle, mustListen }
  }
  if (path !== undefined) return unixTarget(path, options)
  refuse(options, OF_UNIX, 'port')
  if (options.port === undefined) throw new TypeError('listen options: one of port, path and fd is needed')
  return internetTarget(options.port, options)
}

function unixTarget(path: string, options: ListenOptions): UnixTarget {
  refuse(options, [...OF_INTERNET, 'noDelay'], 'path')
  if (path.startsWith('\0')) refuse(options, ['mode', 'stale'], 'an abstract path, which is no file')
  return {
    kind: 'unix',
    address: { family: Family.UNIX, address: path, port: 0 },
    mode: options.mode ?? null,
    replaceStale: options.stale === 'replace',
  }
}

function internetTarget(port: number, options: ListenOptions): InternetTarget {
  const { host = '*', ipv6Only = false, deferAccept = false, fastOpen = 0 } = options
  const address = addressOf(host, port)
  if (ipv6Only && address.family !== Family.IPV6) {
    throw wrongType('ipv6Only', `absent or false with the IPv4 host ${show(host)}`, ipv6Only)
  }
  const mayFallBack = host === '*' && options.ipv6Only === undefined
  return {
    kind: 'internet',
    address,
    fallback: mayFallBack ? { family: Family.IPV4, address: '0.0.0.0', port } : null,
    reuseAddress: options.reuseAddress ?? true,
    reusePort: options.reusePort ?? false,
    ipv6Only,
    deferAccept: deferAccept ? DEFER_ACCEPT_SECONDS : 0,
    fastOpen: fastOpen === true ? FAST_OPEN_QUEUE : Number(fastOpen),
  }
}

function addressOf(host: string, port: number): SocketAddress {
  if (host === '*') return { family: Family.IPV6, address: '::', port }
  if (host === 'localhost') return { family: Family.IPV4, address: '127.0.0.1', port }
  const address = parseIpLiteral(host, port)
  if (address === null) throw wrongRange('host', "an IP address, 'localhost' or '*'; look other names up first", host)
  return address
}

function refuse(options: ListenOptions, names: readonly (keyof ListenOptions)[], beside: string): void {
  for (const name of names) {
    if (options[name] !== undefined) {
      throw new TypeError(`option ${name} does not go with ${beside}, got ${show(options[name])}`)
    }
  }
}
