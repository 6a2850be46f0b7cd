/**
 * A stream socket as the kernel keeps it: TCP and unix, with Linux's answers in every state. It knows its two channels
 * and its peer; names, listening queues and routes belong to the network. The scripted origin uses these directly,
 * through `onChange`, which is called from an event of its own whenever a poll might answer differently.
 */
import { Family, type SocketAddress } from '../../lib/sys/kernel.ts'
import { Channel, type Link } from './channel.ts'
import { fail, OpenFile, PollBit, SIM_ERRNO } from './open-file.ts'
import type { World } from './world.ts'

export type SocketState = 'fresh' | 'listening' | 'connecting' | 'failed' | 'connected' | 'closed'

/** A connection that was made and waits for `accept`. */
export interface Backlog {
  readonly limit: number
  readonly queue: StreamSocket[]
}

export class StreamSocket extends OpenFile {
  readonly kind = 'socket'
  readonly family: Family
  readonly world: World
  readonly options: Map<number, number> = new Map()
  /** Permission bits that the file of a unix socket will get, before umask. */
  mode = 0o777
  state: SocketState = 'fresh'
  local: SocketAddress | null = null
  hasChosenAddress = false
  hasChosenPort = false
  /** Bound once more after its connection was over. */
  isRebound = false
  /** A port that the user did not ask for is given back when the connection breaks: bind may come again. */
  hasLostPort = false
  remote: SocketAddress | null = null
  peer: StreamSocket | null = null
  backlog: Backlog | null = null
  pendingError = 0
  /** The first `connect` after a connection was made still answers 0. */
  connectReported = false
  /** Shut down before the outcome of its connect was asked for: it never connects again. */
  isSpoilt = false
  writeShut = false
  wasReset = false
  lingerZero = false
  discardsOnReset = false
  /** Delivered bytes after which somebody in the middle resets both ends. */
  resetAfterBytes: number = Number.POSITIVE_INFINITY
  /** Called by the network when this socket lets go of its name. */
  onClosed: (() => void) | null = null
  onChange: (() => void) | null = null
  incoming: Channel | null = null
  outgoing: Channel | null = null
  #changePending = false

  constructor(world: World, family: Family) {
    super()
    this.world = world
    this.family = family
  }

  get isUnix(): boolean {
    return this.family === Family.UNIX
  }

  get finReceived(): boolean {
    return this.incoming?.finArrived ?? false
  }

  /** Nothing is left of a TCP connection: reset, or FIN went both ways. */
  get isOver(): boolean {
    return this.wasReset || (!this.isUnix && this.finReceived && (this.outgoing?.finArrived ?? false))
  }

  get mayBind(): boolean {
    return this.local === null || this.hasLostPort || (this.isOver && !this.hasChosenPort && !this.isRebound)
  }

  /** Joins two sockets; each becomes connected when the caller says so. */
  static join(a: StreamSocket, b: StreamSocket, link: Link): void {
    a.outgoing = StreamSocket.#channel(a, b, link)
    b.outgoing = StreamSocket.#channel(b, a, link)
    a.incoming = b.outgoing
    b.incoming = a.outgoing
    a.peer = b
    b.peer = a
  }

  static #channel(sender: StreamSocket, receiver: StreamSocket, link: Link): Channel {
    const channel: Channel = new Channel(sender.world, link, {
      arrived: () => {
        receiver.changed()
        if (channel.bytesDelivered > receiver.resetAfterBytes) {
          receiver.receiveReset()
          sender.receiveReset()
        }
      },
      drained: () => sender.changed(),
      refused: () => receiver.outgoing?.cutAndSend(() => sender.receiveReset()),
    })
    return channel
  }

  establish(): void {
    this.state = 'connected'
    this.changed()
  }

  failConnect(errno: number): void {
    this.state = 'failed'
    this.hasLostPort = !this.hasChosenPort
    this.pendingError = errno
    this.changed()
  }

  changed(): void {
    this.activity++
    if (this.onChange === null || this.#changePending) return
    this.#changePending = true
    this.world.after(0, () => {
      this.#changePending = false
      this.onChange?.()
    })
  }

  /** The peer, or somebody between, has torn the connection down. */
  receiveReset(): void {
    if (this.state === 'connecting') return this.failConnect(SIM_ERRNO.ECONNREFUSED)
    if (this.state !== 'connected' || this.wasReset) return
    this.pendingError = this.finReceived ? SIM_ERRNO.EPIPE : SIM_ERRNO.ECONNRESET
    this.breakNow()
  }

  breakNow(): void {
    this.wasReset = true
    this.hasLostPort = !this.hasChosenPort
    this.writeShut = true
    this.outgoing?.discard()
    if (this.incoming) this.incoming.isDeaf = true
    if (this.discardsOnReset) this.incoming?.arrived.clear()
    this.changed()
  }

  takeError(): number {
    const error = this.pendingError
    this.pendingError = 0
    if (error !== 0) this.activity++
    return error
  }

  poll(): number {
    if (this.state === 'listening') return (this.backlog?.queue.length ?? 0) > 0 ? PollBit.READABLE : 0
    if (this.state === 'connecting') return 0
    let bits = this.pendingError !== 0 ? PollBit.ERROR : 0
    if (this.state !== 'connected') return bits | PollBit.WRITABLE | PollBit.HANGUP
    const { incoming, outgoing } = this
    if (!incoming || !outgoing) return bits
    if (incoming.arrived.length > 0 || incoming.finArrived) bits |= PollBit.READABLE
    if (this.writeShut || outgoing.space * 3 >= outgoing.link.sendBuffer) bits |= PollBit.WRITABLE
    if (this.wasReset || (incoming.finArrived && this.writeShut)) bits |= PollBit.HANGUP | PollBit.READABLE
    return bits
  }

  receive(into: Uint8Array, keep: boolean): number {
    if (this.state === 'fresh' || this.state === 'listening') return fail(this.isUnix ? 'EINVAL' : 'ENOTCONN')
    if (this.state === 'connecting') return fail('EAGAIN')
    const { incoming } = this
    if (incoming !== null && incoming.arrived.length > 0) return incoming.read(into, keep)
    if (this.finReceived && !this.isUnix) return 0
    if (this.pendingError !== 0) return -this.takeError()
    if (this.finReceived || this.wasReset || this.state !== 'connected') return 0
    return into.length === 0 ? 0 : fail('EAGAIN')
  }

  transmit(bytes: Uint8Array): number {
    if (this.state === 'connecting') return fail('EAGAIN')
    if (this.state === 'fresh' || this.state === 'listening') return fail(this.isUnix ? 'ENOTCONN' : 'EPIPE')
    if (this.pendingError !== 0 && !this.isUnix) return -this.takeError()
    if (this.state !== 'connected' || this.writeShut || !this.outgoing) return fail('EPIPE')
    if (this.isUnix && (this.peer === null || this.peer.state === 'closed')) return fail('EPIPE')
    if (bytes.length === 0) return 0
    const count = this.outgoing.write(bytes)
    return count === 0 ? fail('EAGAIN') : count
  }

  override read(into: Uint8Array): number {
    return this.receive(into, false)
  }

  override write(bytes: Uint8Array): number {
    return this.transmit(bytes)
  }

  shutdownWrite(): number {
    if (this.state === 'listening' || (this.isUnix && this.state !== 'connected')) return 0
    if (this.state !== 'connected' || this.isOver) {
      this.isSpoilt = this.state !== 'fresh' && !this.connectReported
      return this.isUnix ? 0 : fail('ENOTCONN')
    }
    this.connectReported = true
    this.writeShut = true
    this.outgoing?.finish()
    this.activity++
    return 0
  }

  /** RST instead of FIN, at once. */
  reset(): void {
    const { peer, outgoing } = this
    if (this.state === 'connected' && !this.wasReset && peer) outgoing?.cutAndSend(() => peer.receiveReset())
    this.#release()
  }

  closed(): void {
    if (this.state === 'closed') return
    if (this.state !== 'connected' || this.wasReset) {
      for (const waiting of this.backlog?.queue ?? []) waiting.reset()
      this.#release()
    } else if (this.isUnix) this.#closeUnix()
    else if (this.lingerZero || (this.incoming?.arrived.length ?? 0) > 0) this.reset()
    else {
      this.outgoing?.finish()
      this.#release()
    }
  }

  #closeUnix(): void {
    const { peer } = this
    const unread = (this.incoming?.arrived.length ?? 0) > 0
    this.outgoing?.finish()
    this.#release()
    if (peer?.state !== 'connected') return
    if (unread) peer.pendingError = SIM_ERRNO.ECONNRESET
    peer.writeShut = true
    peer.changed()
  }

  #release(): void {
    this.state = 'closed'
    this.incoming?.closeReceiver()
    this.onClosed?.()
    this.onClosed = null
    this.onChange = null
    this.activity++
  }
}
