/**
 * One direction of a connection: what the sender queued, what is on the way, what arrived and was not read. Latency,
 * bandwidth and segment size belong to the link; the receive buffer is a window, so a reader that stops reading stops
 * the sender. Order is never changed. With no latency everything arrives inside the call, as on a loopback device.
 */
import { ByteQueue } from './byte-queue.ts'
import type { World } from './world.ts'

export interface Link {
  readonly latencyMs: number
  readonly jitterMs: number
  readonly bytesPerMs: number
  readonly segmentBytes: number
  readonly sendBuffer: number
  readonly receiveBuffer: number
  /** Probability that a segment is lost and comes again later. */
  readonly loss: number
}

export const LOOPBACK: Link = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerMs: Number.POSITIVE_INFINITY,
  segmentBytes: 65536,
  sendBuffer: 131072,
  receiveBuffer: 131072,
  loss: 0,
}

const RETRANSMIT_MS = 200

export interface ChannelEnds {
  /** Bytes or the end of the stream arrived at the receiver. */
  arrived(): void
  /** The sender may write again. */
  drained(): void
  /** Bytes reached a receiver that is gone. */
  refused(): void
}

export class Channel {
  readonly arrived: ByteQueue = new ByteQueue()
  finArrived = false
  receiverClosed = false
  /** The receiver knows that the connection is broken: what still comes is dropped. */
  isDeaf = false
  bytesDelivered = 0
  readonly link: Link
  readonly #world: World
  readonly #ends: ChannelEnds
  readonly #unsent = new ByteQueue()
  #inFlight = 0
  #deliveries = 0
  #lastDeparture = 0
  #lastArrival = 0
  #finQueued = false
  #finSent = false
  #cut = false

  constructor(world: World, link: Link, ends: ChannelEnds) {
    this.#world = world
    this.link = link
    this.#ends = ends
  }

  get space(): number {
    return Math.max(0, this.link.sendBuffer - this.#unsent.length)
  }

  /** As much as fits: how many bytes were taken. */
  write(bytes: Uint8Array): number {
    const count = Math.min(bytes.length, this.space)
    this.#unsent.push(bytes.subarray(0, count))
    this.#pump()
    return count
  }

  /** End of the stream, after what was written. */
  finish(): void {
    if (this.#finQueued) return
    this.#finQueued = true
    this.#pump()
  }

  read(into: Uint8Array, keep = false): number {
    const count = this.arrived.read(into, keep)
    if (!keep && count > 0) this.#pump()
    return count
  }

  /** Nothing more is delivered but `action`, which comes behind what is already on the way. */
  cutAndSend(action: () => void): void {
    this.#unsent.clear()
    this.#cut = true
    this.#deliver(0, action)
  }

  /** The receiver is gone: what arrives from now on is refused. */
  closeReceiver(): void {
    this.receiverClosed = true
    this.arrived.clear()
    this.#pump()
  }

  /** Throws everything away, in both buffers and on the way. */
  discard(): void {
    this.#unsent.clear()
    this.#cut = true
  }

  #pump(): void {
    if (this.#cut) return
    const before = this.space
    for (;;) {
      const window = this.receiverClosed
        ? Number.POSITIVE_INFINITY
        : this.link.receiveBuffer - this.arrived.length - this.#inFlight
      if (window <= 0 || this.#unsent.length === 0) break
      const segment = this.#unsent.take(Math.min(window, this.link.segmentBytes))
      this.#inFlight += segment.length
      this.#deliver(segment.length, () => this.#land(segment))
      if (this.#cut) return
    }
    if (this.#finQueued && !this.#finSent && this.#unsent.length === 0) {
      this.#finSent = true
      this.#deliver(0, () => this.#landFin())
    }
    if (this.space > before) this.#ends.drained()
  }

  #land(segment: Uint8Array): void {
    this.#inFlight -= segment.length
    if (this.isDeaf) return
    if (this.receiverClosed) {
      this.#ends.refused()
      return
    }
    this.arrived.push(segment)
    this.bytesDelivered += segment.length
    this.#ends.arrived()
  }

  #landFin(): void {
    if (this.isDeaf) return
    this.finArrived = true
    if (!this.receiverClosed) this.#ends.arrived()
  }

  #deliver(size: number, action: () => void): void {
    const { link } = this
    const world = this.#world
    const departure = Math.max(this.#lastDeparture, world.now) + size / link.bytesPerMs
    this.#lastDeparture = departure
    let arrival = departure + link.latencyMs
    if (link.jitterMs > 0) arrival += world.random.unit() * link.jitterMs
    if (world.random.chance(link.loss)) arrival += RETRANSMIT_MS * world.random.between(1, 4)
    arrival = Math.max(arrival, this.#lastArrival)
    this.#lastArrival = arrival
    if (arrival <= world.now && this.#deliveries === 0) {
      action()
      return
    }
    this.#deliveries++
    world.schedule(arrival, () => {
      this.#deliveries--
      action()
    })
  }
}
