/**
 * The gate that every verb passes: counts calls, and makes the n-th one that may fail do so, with an errno that the
 * verb may plausibly answer. A torture loop raises n until a run has fewer calls than n.
 */
import type { ErrnoName } from '../../lib/sys/kernel.ts'
import type { Random } from './random.ts'

const BROKEN: readonly ErrnoName[] = ['ECONNRESET', 'ETIMEDOUT', 'ENOBUFS']
const BROKEN_WRITE: readonly ErrnoName[] = ['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'ENOBUFS']
const FULL: readonly ErrnoName[] = ['EMFILE', 'ENFILE', 'ENOMEM']

/** What a verb may answer when it fails for reasons of its own. A verb that is not here never fails. */
export const PLAUSIBLE: Readonly<Record<string, readonly ErrnoName[]>> = {
  pipe: FULL,
  socketPair: FULL,
  socket: ['EMFILE', 'ENFILE', 'ENOBUFS', 'EAFNOSUPPORT'],
  openWakeup: FULL,
  adopt: ['ENOMEM'],
  setOption: ['ENOPROTOOPT', 'EINVAL', 'ENOBUFS'],
  getOption: ['ENOPROTOOPT', 'ENOBUFS'],
  bind: ['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL'],
  bindToDevice: ['EPERM', 'ENOPROTOOPT'],
  listen: ['EADDRINUSE', 'EOPNOTSUPP'],
  accept: ['ECONNABORTED', 'EMFILE', 'ENFILE', 'ENOBUFS', 'EPROTO', 'EPERM'],
  connect: ['ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'ETIMEDOUT', 'EACCES'],
  localAddress: ['ENOBUFS'],
  peerAddress: ['ENOTCONN', 'ENOBUFS'],
  peerCredentials: ['ENOTCONN', 'ENOBUFS'],
  setMode: ['EINVAL', 'EPERM'],
  setPathMode: ['EPERM', 'EROFS'],
  fileIdentity: ['EACCES', 'ENOMEM'],
  lockFile: ['EMFILE', 'EACCES'],
  recv: BROKEN,
  peek: BROKEN,
  read: BROKEN,
  send: BROKEN_WRITE,
  sendBytes: BROKEN_WRITE,
  sendPieces: BROKEN_WRITE,
  write: BROKEN_WRITE,
  writev: BROKEN_WRITE,
  sendfile: ['EPIPE', 'ECONNRESET', 'EIO', 'EINVAL'],
  shutdownWrite: ['ENOTCONN', 'ENOBUFS'],
  poll: ['ENOMEM'],
  lookup: ['ENOMEM', 'EMFILE'],
}

/** Errors after which a stream is broken for good. */
export const BREAKING: ReadonlySet<ErrnoName> = new Set(['ECONNRESET', 'ETIMEDOUT', 'EPIPE'])

export class CallGate {
  readonly calls: Record<string, number> = {}
  totalCalls = 0
  /** Calls so far of verbs that may fail. */
  fallibleCalls = 0
  /** What `failNth` did: `verb fd ERRNO`, or null while it has not come to that. */
  injected: string | null = null
  readonly #random: Random
  #failAt = 0
  #failName: ErrnoName | null = null

  constructor(random: Random) {
    this.#random = random
  }

  failNth(n: number, name: ErrnoName | null): void {
    this.#failAt = this.fallibleCalls + n
    this.#failName = name
    this.injected = null
  }

  /** Null to go on, or the name of the error that this call must end with. */
  pass(verb: string, fd: number): ErrnoName | null {
    this.calls[verb] = (this.calls[verb] ?? 0) + 1
    this.totalCalls++
    const plausible = PLAUSIBLE[verb]
    if (plausible === undefined) return null
    this.fallibleCalls++
    if (this.fallibleCalls !== this.#failAt) return null
    const name = this.#failName ?? this.#random.pick(plausible)
    this.injected = `${verb} ${fd} ${name}`
    return name
  }
}
