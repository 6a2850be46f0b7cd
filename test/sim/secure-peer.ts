/** A peer behind the fake TLS protocol, in the server's role: the same verbs and events as `Peer`, on plaintext. */
import { FakeTls, RECORD_CONTENT_MAX, type ServerIdentity } from './fake-tls.ts'
import { Peer, type PeerEvents } from './peer.ts'
import type { StreamSocket } from './stream-socket.ts'
import type { World } from './world.ts'

export type AnyPeer = Pick<Peer, 'write' | 'end' | 'close' | 'reset' | 'isDone'>

/** In the clear when there is no identity. */
export function makePeer(
  world: World,
  socket: StreamSocket,
  events: PeerEvents,
  fragments: boolean,
  identity: ServerIdentity | null | undefined,
): AnyPeer {
  return identity
    ? new SecurePeer(world, socket, events, fragments, identity)
    : new Peer(world, socket, events, fragments)
}

class SecurePeer implements AnyPeer {
  isDone = false
  readonly #tls: FakeTls
  readonly #peer: Peer
  readonly #events: PeerEvents

  constructor(world: World, socket: StreamSocket, events: PeerEvents, fragments: boolean, identity: ServerIdentity) {
    this.#tls = new FakeTls(identity)
    this.#events = events
    const lower: PeerEvents = {
      data: (bytes) => this.#receive(bytes),
      ended: () => this.#ended(),
      drained: () => this.#drained(),
      failed: (errno) => {
        this.isDone = true
        events.failed?.(errno)
      },
    }
    this.#peer = new Peer(world, socket, lower, fragments)
  }

  write(bytes: Uint8Array | string): void {
    if (this.isDone) return
    const plain = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    for (let at = 0; at < plain.length; at += RECORD_CONTENT_MAX) {
      this.#tls.interject()
      this.#tls.sendData(plain.subarray(at, at + RECORD_CONTENT_MAX))
    }
    this.#push()
  }

  end(): void {
    if (this.isDone) return
    this.#tls.sendClose()
    this.#push()
    this.#peer.end()
  }

  /** Lingers as servers do: what a client still says must not reset what is on its way. */
  close(): void {
    this.end()
    this.isDone = true
  }

  reset(): void {
    this.isDone = true
    this.#peer.reset()
  }

  #receive(bytes: Uint8Array): void {
    if (this.isDone) return
    this.#tls.receive(bytes)
    do {
      this.#tls.advance()
      const plain = this.#tls.takePlain(Number.POSITIVE_INFINITY)
      if (plain.length > 0) this.#events.data?.(plain)
    } while (this.#tls.hasRecord && this.#tls.failure === null && !this.#tls.peerClosed && !this.isDone)
    if (this.isDone) return
    if (this.#tls.failure !== null) return this.reset()
    this.#push()
    if (this.#tls.peerClosed) this.#ended()
  }

  #ended(): void {
    if (this.isDone) this.#peer.close()
    else this.#events.ended?.()
  }

  #drained(): void {
    if (!this.isDone) this.#events.drained?.()
  }

  /** Nothing at all is a question, too: `drained` answers when all is out. */
  #push(): void {
    this.#peer.write(Buffer.concat(this.#tls.output.splice(0)))
  }
}
