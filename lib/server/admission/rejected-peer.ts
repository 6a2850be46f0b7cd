/**
 * A peer that is turned away with a word: the bytes are sent, then FIN, and what it sends is read out for a moment, so
 * that a reset does not destroy the word before it is read. It counts nowhere; when many of them linger, the next is
 * closed at once.
 */
import { SocketFilter } from '../../connection/socket-filter.ts'
import { ByteStream } from '../../connection/stream.ts'
import { Facility, type Host } from '../../multi/host.ts'
import { Interest } from '../../sys/readiness.ts'
import type { CloseReason } from '../connection/close-reason.ts'
import { ConnectionMachine, type ConnectionOwner } from '../connection/connection-machine.ts'
import type { Driver } from '../connection/driver.ts'

/** Of one Multi, so that peers that are turned away do not use up the descriptors. */
const LINGERING_MAX = 64
const LINGER_MS = 2_000

class Lingering {
  count = 0
}
const lingering: Facility<Lingering> = new Facility(() => new Lingering())

class RejectedPeer implements ConnectionOwner, Driver {
  readonly dormant: boolean = false
  deadline: number = Number.POSITIVE_INFINITY
  readonly lingerMs: number = LINGER_MS
  readonly #lingering: Lingering
  readonly #bytes: Uint8Array
  #machine: ConnectionMachine | null = null
  #sent = 0

  constructor(lingerers: Lingering, bytes: Uint8Array) {
    this.#lingering = lingerers
    this.#bytes = bytes
  }

  begin(machine: ConnectionMachine): Driver {
    this.#machine = machine
    return this
  }

  open(_now: number): void {}

  run(now: number, _readiness: number): void {
    const machine = this.#machine as ConnectionMachine
    if (this.deadline === Number.POSITIVE_INFINITY) this.deadline = now + LINGER_MS
    const sent = machine.stream.sendBytes(this.#bytes, this.#sent, this.#bytes.length - this.#sent)
    if (sent > 0) this.#sent += sent
    const mustWait = sent >= 0 || sent === -machine.host.kernel.errno.EAGAIN
    if (!mustWait || this.#sent === this.#bytes.length) machine.finish('policy', true)
  }

  wants(): number {
    return Interest.WRITABLE
  }

  expired(_now: number): void {
    this.#machine?.fail('policy', null)
  }

  drain(_now: number): void {}

  closed(_reason: CloseReason, _error: Error | null): void {}

  ended(_reason: CloseReason, _error: Error | null): void {
    this.#lingering.count--
  }

  threw(_error: unknown): void {}
}

export function rejectWithBytes(host: Host, fd: number, generation: number, bytes: Uint8Array): void {
  const lingerers = host.facility(lingering)
  if (lingerers.count >= LINGERING_MAX) {
    host.kernel.sendBytes(fd, bytes, 0, bytes.length)
    host.closeFd(fd, generation)
    return
  }
  lingerers.count++
  const stream = new ByteStream(host, new SocketFilter(host, fd, generation), host.now)
  new ConnectionMachine(host, stream, new RejectedPeer(lingerers, bytes), null)
}
