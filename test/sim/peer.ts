/**
 * Somebody at the other end of the wire, inside the world: reads and writes a stream socket by callbacks and owns no
 * descriptor. With `fragments` it writes in pieces of random sizes at random times, so that every cut is met.
 */
import { type Family, SocketOption } from '../../lib/sys/kernel.ts'
import { ByteQueue } from './byte-queue.ts'
import type { Network } from './network.ts'
import { SIM_ERRNO } from './open-file.ts'
import type { Random } from './random.ts'
import { StreamSocket } from './stream-socket.ts'
import type { World } from './world.ts'

const READ_SIZE = 16384
const WRITE_SIZE = 65536

export interface PeerEvents {
  data?(bytes: Uint8Array): void
  /** FIN came; nothing follows. */
  ended?(): void
  /** Everything written is with the kernel. */
  drained?(): void
  /** The connection is gone: errno's value. */
  failed?(errno: number): void
}

export class Peer {
  readonly socket: StreamSocket
  readonly #world: World
  readonly #random: Random
  readonly #events: PeerEvents
  readonly #output = new ByteQueue()
  readonly #fragments: boolean
  readonly #input = new Uint8Array(READ_SIZE)
  #held: Uint8Array = new Uint8Array(0)
  #isWaiting = false
  #isReadingPaused = false
  #sawEnd = false
  #endWanted = false
  isDone = false

  constructor(world: World, socket: StreamSocket, events: PeerEvents, fragments = false) {
    this.#world = world
    this.#random = world.random
    this.socket = socket
    this.#events = events
    this.#fragments = fragments
    socket.onChange = () => this.#step()
    world.after(0, () => this.#step())
  }

  /** A scripted client. */
  static connect(
    world: World,
    network: Network,
    target: { family: Family; address: string; port: number },
    events: PeerEvents,
    fragments = false,
  ): Peer {
    const socket = new StreamSocket(world, target.family)
    const result = network.connect(socket, target.family, target.address, target.port)
    const peer = new Peer(world, socket, events, fragments)
    if (result < 0 && result !== -SIM_ERRNO.EINPROGRESS) peer.#fail(-result)
    return peer
  }

  write(bytes: Uint8Array | string): void {
    if (this.isDone) return
    this.#output.push(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    this.#flush()
  }

  /** FIN once everything is written; reading goes on. */
  end(): void {
    this.#endWanted = true
    this.#flush()
  }

  /** Closes both directions, as a process does that calls close. */
  close(): void {
    this.isDone = true
    this.socket.closed()
  }

  reset(): void {
    this.isDone = true
    this.socket.reset()
  }

  pauseReading(): void {
    this.#isReadingPaused = true
  }

  resumeReading(): void {
    this.#isReadingPaused = false
    this.#step()
  }

  #step(): void {
    if (this.isDone || this.socket.state === 'connecting') return
    this.#read()
    if (!this.isDone) this.#flush()
  }

  #read(): void {
    while (!this.isDone && !this.#sawEnd && !this.#isReadingPaused) {
      const count = this.socket.receive(this.#input, false)
      if (count > 0) this.#events.data?.(this.#input.slice(0, count))
      else if (count === 0) {
        this.#sawEnd = true
        this.#events.ended?.()
      } else if (count === -SIM_ERRNO.EAGAIN) return
      else return this.#fail(-count)
    }
  }

  #flush(): void {
    if (this.isDone || this.#isWaiting || this.socket.state === 'connecting') return
    while (this.#output.length + this.#held.length > 0) {
      if (this.#held.length === 0) this.#held = this.#output.take(this.#pieceSize())
      const count = this.socket.transmit(this.#held)
      if (count === -SIM_ERRNO.EAGAIN) return
      if (count < 0) return this.#fail(-count)
      this.#held = this.#held.subarray(count)
      if (this.#fragments && this.#random.chance(0.5)) return this.#rest()
    }
    if (this.#endWanted) this.socket.shutdownWrite()
    this.#events.drained?.()
  }

  #pieceSize(): number {
    return this.#fragments ? 1 + Math.floor(2 ** (this.#random.unit() * 13)) : WRITE_SIZE
  }

  #rest(): void {
    this.#isWaiting = true
    this.#world.after(this.#random.unit() * 3, () => {
      this.#isWaiting = false
      this.#flush()
    })
  }

  #fail(errno: number): void {
    this.isDone = true
    this.socket.closed()
    this.#events.failed?.(errno)
  }
}

/** A listening socket inside the world that hands every connection to `onPeer`. */
export function listenInWorld(
  world: World,
  network: Network,
  at: { family: Family; address: string; port: number },
  onPeer: (socket: StreamSocket) => void,
): StreamSocket {
  const listener = new StreamSocket(world, at.family)
  listener.options.set(SocketOption.REUSE_ADDRESS, 1)
  network.addAddress(at.address)
  for (const result of [network.bind(listener, at.family, at.address, at.port), network.listen(listener, 1024)]) {
    if (result < 0) throw new Error(`cannot listen at ${at.address} ${at.port}: ${result}`)
  }
  listener.onChange = () => {
    for (;;) {
      const socket = listener.backlog?.queue.shift()
      if (socket === undefined) return
      onPeer(socket)
    }
  }
  return listener
}
