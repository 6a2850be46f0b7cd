/**
 * What the threads of a group listen on. Every socket belongs to the thread that owns the group, so that no end of a
 * worker resets anybody: each worker has descriptors of its own for all of them, and accepts on some. With 'reuseport'
 * there is a socket per worker; those of ended or stuck workers are served by another one until they are back.
 */
import type { SystemError } from '../base/errors.ts'
import type { InternetTarget, ListenHandle, ListenSettings } from '../server/listening/listen-options.ts'
import { Family, type SocketAddress, SocketOption } from '../sys/kernel.ts'
import { kernel } from '../sys/native.ts'
import { systemError } from '../sys/system-error.ts'
import type { ShareMode } from './group-options.ts'
import { ListenBook, type ListenShare } from './listen-book.ts'

/** Who accepts on a socket: the worker with this number, or each of them. */
type Server = number | 'all'

export class GroupSockets {
  readonly #book: ListenBook
  readonly #servers: Server[] = []
  readonly #workers: number
  readonly #isExclusive: boolean

  /** Throws a SystemError, and then none is open. */
  constructor(listen: readonly ListenSettings[], share: ShareMode, workers: number) {
    this.#workers = workers
    this.#isExclusive = share === 'exclusive'
    const all: ListenSettings[] = []
    const isSpread = share === 'reuseport' && workers > 1
    for (const settings of listen) {
      const { target } = settings
      if (!isSpread || target.kind !== 'internet') {
        all.push(settings)
        this.#servers.push('all')
        continue
      }
      for (const [worker, one] of spread(settings, target, workers).entries()) {
        all.push(one)
        this.#servers.push(worker)
      }
    }
    this.#book = new ListenBook(all)
    if (isSpread) this.#spreadTaken(listen)
  }

  get isClosed(): boolean {
    return this.#book.isClosed
  }

  get shares(): readonly ListenShare[] {
    return this.#book.shares
  }

  /** Each once, however many sockets there are. */
  get addresses(): SocketAddress[] {
    const seen = new Set<string>()
    return this.#book.addresses.filter(({ family, address, port }) => {
      const key = `${family} ${address} ${port}`
      if (seen.has(key)) return false
      seen.add(key)
      return true
    })
  }

  /** For a worker that begins: descriptors for all, of which it serves its own. */
  sharesFor(worker: number): ListenShare[] {
    return this.shares.map((share, index) => ({
      ...share,
      enabled: share.enabled && this.#serves(worker, index),
      exclusive: this.#isExclusive,
    }))
  }

  /** The sockets that nobody but this worker serves. */
  ownOf(worker: number): number[] {
    return [...this.#servers.keys()].filter((index) => this.#servers[index] === worker)
  }

  release(): ListenHandle[] {
    return this.#book.release()
  }

  close(): void {
    this.#book.close()
  }

  #serves(worker: number, index: number): boolean {
    const server = this.#servers[index] as Server
    return server === 'all' || server === worker
  }

  /** Sockets of one address that were opened elsewhere, as by the group of a process that went before. */
  #spreadTaken(listen: readonly ListenSettings[]): void {
    const { shares } = this.#book
    const groups = new Map<string, number[]>()
    for (const [index, { address }] of shares.entries()) {
      if (this.#servers[index] !== 'all' || address.family === Family.UNIX || listen.length < 2) continue
      const key = `${address.family} ${address.address} ${address.port}`
      groups.set(key, [...(groups.get(key) ?? []), index])
    }
    for (const indices of groups.values()) {
      // With fewer sockets than workers, some would have nothing to do.
      if (indices.length < this.#workers) continue
      for (const [rank, index] of indices.entries()) this.#servers[index] = rank % this.#workers
    }
  }
}

/** The same address once per worker. The first one decides about the port. */
function spread(settings: ListenSettings, target: InternetTarget, workers: number): ListenSettings[] {
  const address = target.address.port === 0 ? freeAddress(target) : probed(target)
  const one: ListenSettings = { ...settings, target: { ...target, address, fallback: null, reusePort: true } }
  return Array.from({ length: workers }, () => one)
}

/** Bound without REUSEPORT, so that a port of somebody else's is never shared in silence. */
function probed(target: InternetTarget): SocketAddress {
  const { address, fallback } = target
  const first = probe(target, address)
  if (!('errno' in first)) return first
  if (fallback === null || !lacksIpv6(first)) throw first
  const second = probe(target, fallback)
  if ('errno' in second) throw second
  return second
}

function freeAddress(target: InternetTarget): SocketAddress {
  return probed(target)
}

/** The address with its port, which is free again. */
function probe(target: InternetTarget, address: SocketAddress): SocketAddress | SystemError {
  const fd = kernel.socket(address.family)
  if (fd < 0) return systemError(kernel, fd, 'socket', address)
  if (address.family === Family.IPV6) kernel.setOption(fd, SocketOption.V6_ONLY, target.ipv6Only ? 1 : 0)
  if (target.reuseAddress) kernel.setOption(fd, SocketOption.REUSE_ADDRESS, 1)
  const result = kernel.bind(fd, address.family, address.address, address.port)
  const bound = result < 0 ? result : kernel.localAddress(fd)
  kernel.close(fd)
  return typeof bound === 'number' ? systemError(kernel, bound, 'bind', address) : bound
}

function lacksIpv6({ errno }: SystemError): boolean {
  return errno === -kernel.errno.EAFNOSUPPORT || errno === -kernel.errno.EADDRNOTAVAIL
}
