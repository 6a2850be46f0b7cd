/**
 * Accepts connections for other threads, and says who gets each: without looking, or by its first bytes, which stay in
 * the socket (MSG_PEEK), so that TLS or a PROXY header is whole for whoever is given it. It never takes more than there
 * is room for; peers wait in the queue of the kernel meanwhile.
 */
import type { SystemError } from '../base/errors.ts'
import { TimerTable } from '../base/timer-table.ts'
import type { Host } from '../multi/host.ts'
import { type InterestSet, type Machine, MachineKind, REPORTED } from '../multi/machine.ts'
import type { Task } from '../multi/task.ts'
import { type AcceptSink, ListenerMachine } from '../server/listening/listener-machine.ts'
import { panic } from '../server/panic.ts'
import { withinEngine } from '../server/within-engine.ts'
import { POLL_STRIDE, type SocketAddress, SocketOption } from '../sys/kernel.ts'
import { Interest } from '../sys/readiness.ts'
import type { PickFunction } from './group-options.ts'
import type { ListenShare } from './listen-book.ts'

/** Where connections go. */
export interface HandOffOwner {
  /** How many more can be handed out now, those that are looked at included. */
  room(): number
  /** The descriptor belongs to this thread, and is nobody's of its Multi. `worker` null: whoever is next. */
  give(fd: number, peer: SocketAddress, worker: number | null): void
  failed(error: SystemError, retryInMs: number, fatal: boolean): void
}

export interface HandOffSettings {
  readonly pick: PickFunction | null
  readonly pickMs: number
}

/** A TLS ClientHello with everything that is in use fits. */
const PEEK_BYTES_MAX = 16 * 1024
/** Bytes that were seen and are not enough keep the socket readable, so more are looked for now and then. */
const LOOK_AGAIN_MS = 10

export class HandOff implements AcceptSink {
  readonly #host: Host
  readonly #owner: HandOffOwner
  readonly #settings: HandOffSettings
  readonly #looking = new Set<Look>()
  #machines: ListenerMachine[] = []

  constructor(host: Host, owner: HandOffOwner, settings: HandOffSettings) {
    this.#host = host
    this.#owner = owner
    this.#settings = settings
  }

  listen(shares: readonly ListenShare[]): void {
    withinEngine(this.#host, 'listen', () => {
      for (const { fd, generation, address, enabled, acceptBudget } of shares) {
        // Not its own to close.
        const socket = { fd, generation, address, owned: false, adopted: false, file: null }
        this.#machines.push(new ListenerMachine(this.#host, socket, this, { enabled, acceptBudget }))
      }
    })
  }

  /** Peers wait in the queue meanwhile. */
  hold(isHeld: boolean): void {
    this.#each('hold', (machine) => (isHeld ? machine.disable() : machine.enable()))
  }

  /** Somebody waits in a queue. */
  get hasWaiting(): boolean {
    const entries = Int32Array.from(this.#machines.flatMap(({ fd }) => [fd, Interest.READABLE, 0]))
    return this.#host.kernel.poll(entries, entries.length / POLL_STRIDE, 0) > 0
  }

  /** There may be room again. */
  wake(): void {
    this.#each('wake', (machine) => machine.wake())
  }

  /** Accepts nobody any more; who is being looked at is handed out. */
  close(): void {
    this.#each('close', (machine) => machine.close())
    this.#machines = []
    if (this.#host.closed) return
    withinEngine(this.#host, 'close', () => {
      for (const look of [...this.#looking]) look.giveUp()
    })
  }

  room(): number {
    return this.#owner.room() - this.#looking.size
  }

  accepted(fd: number, generation: number): void {
    const peer = this.#host.kernel.peerAddress(fd)
    if (typeof peer === 'number') this.#host.closeFd(fd, generation)
    else if (this.#settings.pick === null) this.#owner.give(fd, peer, null)
    else this.#looking.add(new Look(this.#host, fd, generation, peer, this.#settings.pickMs, this))
  }

  failed(error: SystemError, retryInMs: number, fatal: boolean): void {
    this.#owner.failed(error, retryInMs, fatal)
  }

  /** undefined: ask again when there are more bytes. */
  pick(peer: SocketAddress, bytes: Uint8Array): number | null | undefined {
    return this.#settings.pick?.(peer, bytes)
  }

  /** `worker` undefined: it is gone. */
  looked(look: Look, fd: number, peer: SocketAddress, worker: number | null | undefined): void {
    this.#looking.delete(look)
    if (worker !== undefined) this.#owner.give(fd, peer, worker)
  }

  #each(name: string, verb: (machine: ListenerMachine) => void): void {
    if (this.#host.closed) return
    withinEngine(this.#host, name, () => {
      for (const machine of this.#machines) if (!machine.closed) verb(machine)
    })
  }
}

const DEADLINE = 0
const AGAIN = 1
const TIMER_COUNT = 2

/** A connection whose first bytes are waited for. */
class Look implements Machine {
  readonly kind: MachineKind = MachineKind.SERVER
  readonly subject: null = null
  readonly dormant: boolean = false
  readonly timers: TimerTable = new TimerTable(TIMER_COUNT)
  readonly #host: Host
  readonly #fd: number
  readonly #generation: number
  readonly #peer: SocketAddress
  readonly #handOff: HandOff
  readonly #task: Task
  #seen = 0
  #isOver = false

  constructor(host: Host, fd: number, generation: number, peer: SocketAddress, pickMs: number, handOff: HandOff) {
    this.#host = host
    this.#fd = fd
    this.#generation = generation
    this.#peer = peer
    this.#handOff = handOff
    this.timers.set(DEADLINE, host.now + pickMs)
    this.#task = host.spawn(this)
  }

  start(_now: number): void {
    this.#look()
  }

  run(_now: number, readiness: number): void {
    if (!this.#isOver && (readiness & REPORTED) !== 0) this.#look()
  }

  expired(timer: number, _now: number): void {
    if (timer === DEADLINE) this.giveUp()
    else this.#look()
  }

  interest(into: InterestSet): void {
    if (!this.#isOver && this.#seen === 0) into.add(this.#fd, Interest.READABLE)
  }

  abort(_cause: unknown): void {
    this.#close()
  }

  /** Whoever is next may have it. */
  giveUp(): void {
    this.#give(null)
  }

  #look(): void {
    const { kernel, scratch, now } = this.#host
    const lengthMax = Math.min(PEEK_BYTES_MAX, scratch.bytes.length)
    const seen = kernel.peek(this.#fd, scratch.id, 0, lengthMax)
    if (seen === -kernel.errno.EAGAIN) return
    if (seen < 0) return this.#close()
    if (seen === 0 || (seen === this.#seen && seen < lengthMax)) return this.#lookAgain(seen, now)
    this.#seen = seen
    try {
      const worker = this.#handOff.pick(this.#peer, scratch.bytes.subarray(0, seen))
      if (worker !== undefined) this.#give(worker)
      else if (seen === lengthMax) this.#give(null)
      else this.#lookAgain(seen, now)
    } catch (thrown) {
      kernel.setOption(this.#fd, SocketOption.LINGER, 0)
      this.#close()
      panic('pick', thrown)
    }
  }

  /** The end without a byte is not worth waiting for. */
  #lookAgain(seen: number, now: number): void {
    if (seen === 0) this.#give(null)
    else this.timers.set(AGAIN, now + LOOK_AGAIN_MS)
  }

  #give(worker: number | null): void {
    if (this.#isOver) return
    this.#host.letGoOfFd(this.#fd)
    this.#end()
    this.#handOff.looked(this, this.#fd, this.#peer, worker)
  }

  #close(): void {
    if (this.#isOver) return
    this.#end()
    this.#host.closeFd(this.#fd, this.#generation)
    this.#handOff.looked(this, this.#fd, this.#peer, undefined)
  }

  #end(): void {
    this.#isOver = true
    this.timers.clearAll()
    this.#host.retire(this.#task)
  }
}
