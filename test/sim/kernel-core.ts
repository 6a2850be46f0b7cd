/**
 * What every verb of the simulated kernel stands on: the descriptor table, registered buffers, the gate that counts and
 * injects, and the watch over the user. What a correct library never does (a verb on a closed descriptor, closing one
 * that a poller still watches, bytes outside a registered buffer) is answered like Unix and noted in `violations`.
 */
import type { ErrnoName, ErrnoTable, RegisteredBuffer } from '../../lib/sys/kernel.ts'
import { BREAKING, CallGate } from './call-gate.ts'
import { type DescriptorReuse, DescriptorTable } from './descriptors.ts'
import type { Faults } from './faults.ts'
import { Network } from './network.ts'
import { EventFile, errnoName, fail, type OpenFile, PollBit, pollAnswer, RegularFile, SIM_ERRNO } from './open-file.ts'
import type { Random } from './random.ts'
import { StreamSocket } from './stream-socket.ts'
import type { World } from './world.ts'

export interface SimKernelOptions {
  readonly reuse?: DescriptorReuse
  readonly descriptorLimit?: number
}

/** Somebody who watches descriptors and must be told before they close. */
export interface Watcher {
  isWatching(fd: number): boolean
  forget(fd: number): void
}

const LENGTH_MOST = 2 ** 30
const BETWEEN_CALLS_MS = 0.5

const NO_FILE = new EventFile()
/** Verbs that work on no descriptor. */
const FREE_VERBS: ReadonlySet<string> = new Set([
  'pipe', 'socketPair', 'socket', 'openWakeup', 'adopt', 'poll', 'setPathMode', 'fileIdentity', 'unlink', 'lockFile',
]) // biome-ignore format: a table

export abstract class KernelCore {
  readonly errno: ErrnoTable = SIM_ERRNO
  readonly violations: string[] = []
  readonly watchers: Set<Watcher> = new Set()
  readonly network: Network
  readonly table: DescriptorTable
  readonly gate: CallGate
  /** Descriptors that belong to the harness: not counted as leaked. */
  readonly harness: Set<number> = new Set()
  /** Bytes moved and descriptors opened or closed: a measure of progress. */
  progress = 0
  protected readonly world: World
  protected readonly faults: Faults
  protected readonly random: Random
  readonly #buffers = new Map<number, RegisteredBuffer>()
  #nextBuffer = 1

  constructor(world: World, faults: Faults, options: SimKernelOptions = {}) {
    this.world = world
    this.faults = faults
    this.random = world.random.fork()
    this.network = new Network(world, faults)
    this.table = new DescriptorTable(options.reuse ?? 'lowest', options.descriptorLimit ?? 4096)
    this.gate = new CallGate(world.random.fork())
  }

  get calls(): Record<string, number> {
    return this.gate.calls
  }

  get totalCalls(): number {
    return this.gate.totalCalls
  }

  get buffersHeld(): number {
    return this.#buffers.size
  }

  /** The n-th call from now of a verb that may fail ends with this error, or with one that suits the verb. */
  failNth(n: number, name: ErrnoName | null = null): void {
    this.gate.failNth(n, name)
  }

  /** A file of these bytes, for `sendfile`: somebody else's descriptor, as one from node:fs is. */
  openFile(bytes: Uint8Array): number {
    return this.openForeign(new RegularFile(bytes))
  }

  /** A descriptor that somebody else opened: `adopt` takes it over. */
  openForeign(file: OpenFile): number {
    const fd = this.table.open(file, 'foreign')
    this.harness.add(fd)
    return fd
  }

  /** A descriptor for a collaborator that announces through one; no verb reaches it. */
  openEvent(): { fd: number; event: EventFile } {
    const event = new EventFile()
    return { fd: this.table.open(event, 'internal'), event }
  }

  closeEvent(fd: number): void {
    this.#closeFile(fd)
  }

  allocate(length: number): RegisteredBuffer {
    if (!(Number.isInteger(length) && length >= 1 && length <= LENGTH_MOST)) {
      throw new RangeError(`allocate: length must be 1…2^30, not ${length}`)
    }
    const buffer = { id: this.#nextBuffer++, bytes: new Uint8Array(length) }
    this.#buffers.set(buffer.id, buffer)
    return buffer
  }

  release(bufferId: number): void {
    if (this.#buffers.delete(bufferId)) return
    this.violate(`release of buffer ${bufferId}, which is not held`)
    throw new RangeError('bufferId: is not allocated')
  }

  generation(fd: number): number {
    return this.table.owned(fd) === null ? fail('EBADF') : this.table.generation(fd)
  }

  adopt(fd: number): number {
    return this.run('adopt', fd, () => {
      const ownership = this.table.ownership(fd)
      if (ownership !== 'foreign') return fail(ownership === null ? 'EBADF' : 'EBUSY')
      this.table.adopt(fd)
      this.harness.delete(fd)
      return this.table.generation(fd)
    })
  }

  disown(fd: number, generation: number): number {
    return this.run('disown', fd, () => {
      if (this.table.generation(fd) !== generation) return fail('ESTALE')
      this.table.disown(fd)
      this.harness.add(fd)
      return 0
    })
  }

  offer(fd: number): number {
    return this.run('offer', fd, () => {
      for (const watcher of this.watchers) {
        if (watcher.isWatching(fd)) this.violate(`offer of ${fd} while a poller watches it`)
      }
      this.table.offer(fd)
      return this.table.generation(fd)
    })
  }

  claim(fd: number, generation: number): number {
    this.gate.pass('claim', fd)
    const isThere = this.table.ownership(fd) === 'offered' && this.table.generation(fd) === generation
    return this.done('claim', fd, isThere ? this.table.take(fd) : fail('ESTALE'))
  }

  withdraw(fd: number, generation: number): number {
    return this.claim(fd, generation)
  }

  close(fd: number, generation?: number): number {
    this.gate.pass('close', fd)
    this.#letArrive()
    const current = this.table.owned(fd) === null ? 0 : this.table.generation(fd)
    if (current === 0) {
      if (generation === undefined) this.violate(`close of ${fd}, which is not open`)
      return this.done('close', fd, fail('EBADF'))
    }
    if (generation !== undefined && generation !== current) return this.done('close', fd, fail('ESTALE'))
    this.#closeFile(fd)
    return this.done('close', fd, 0)
  }

  #closeFile(fd: number): void {
    for (const watcher of this.watchers) {
      if (!watcher.isWatching(fd)) continue
      this.violate(`close of ${fd} while a poller watches it`)
      watcher.forget(fd)
    }
    this.table.close(fd)?.closed()
    this.harness.delete(fd)
    this.progress++
  }

  /** What a poll answers now for somebody with this interest; a closed descriptor is an error. */
  readinessOf(fd: number, interest: number): number {
    const file = this.table.file(fd)
    return pollAnswer(file === null ? PollBit.ERROR : file.poll(), interest)
  }

  protected open(file: OpenFile): number {
    this.progress++
    return this.table.open(file)
  }

  protected tableError(): number {
    if (this.table.isFull || this.random.chance(this.faults.descriptorTableFull)) return fail('EMFILE')
    return this.random.chance(this.faults.systemTableFull) ? fail('ENFILE') : 0
  }

  protected onSocket(verb: string, fd: number, action: (socket: StreamSocket) => number): number {
    return this.run(verb, fd, (file) => (file instanceof StreamSocket ? action(file) : fail('ENOTSOCK')))
  }

  /** A verb without a descriptor is given a file that nobody sees. */
  protected run(verb: string, fd: number, action: (file: OpenFile) => number): number {
    const injected = this.gate.pass(verb, fd)
    this.#letArrive()
    const file = FREE_VERBS.has(verb) ? NO_FILE : this.table.owned(fd)
    if (file === null) {
      this.violate(`${verb} on ${fd}, which is not open`)
      return this.done(verb, fd, fail('EBADF'))
    }
    if (injected === null) return this.done(verb, fd, action(file))
    if (file instanceof StreamSocket && BREAKING.has(injected) && file.state === 'connected') file.breakNow()
    return this.done(verb, fd, fail(injected))
  }

  protected done(verb: string, fd: number, result: number): number {
    this.world.record(`${verb} ${fd} ${result < 0 ? errnoName(result) : result}`)
    return result
  }

  #letArrive(): void {
    if (this.random.chance(this.faults.arrivalBetweenCalls)) {
      this.world.advanceTo(this.world.now + this.random.unit() * BETWEEN_CALLS_MS)
    }
  }

  /** The part of a region that this call uses; null for a call that would block for no good reason. */
  protected part(file: OpenFile, region: Uint8Array, partial: number): Uint8Array | null {
    if (region.length === 0) return region
    if (this.random.chance(this.faults.spuriousWouldBlock) && !this.#isBroken(file)) return null
    return this.random.chance(partial) ? region.subarray(0, this.random.between(1, region.length)) : region
  }

  #isBroken(file: OpenFile): boolean {
    if (!(file instanceof StreamSocket)) return false
    return file.state !== 'connected' || file.wasReset || file.finReceived || file.pendingError !== 0
  }

  protected region(verb: string, bufferId: number, offset: number, length: number): Uint8Array {
    const buffer = this.#buffers.get(bufferId)
    if (buffer !== undefined && offset >= 0 && length >= 0 && offset + length <= buffer.bytes.length) {
      return buffer.bytes.subarray(offset, offset + length)
    }
    this.violate(`${verb} in buffer ${bufferId} at ${offset}+${length}, which it does not have`)
    throw new RangeError('offset, length: reach outside the buffer')
  }

  protected violate(text: string): void {
    this.violations.push(text)
    this.world.record(`VIOLATION ${text}`)
  }
}
