/**
 * The fake protocol behind the contract that the library's TLS layer knows. What the contract says of memory is checked
 * on every call, and what was opened, kept or registered is counted, so that a run can ask for a quiet end.
 */
import type { RegisteredBuffer } from '../../lib/sys/kernel.ts'
import {
  PIECE_BYTES,
  STATUS_LENGTH,
  TlsAnswer,
  type TlsContext,
  type TlsContextOptions,
  type TlsDescription,
  type TlsEngine,
  type TlsEngineOptions,
  type TlsFailure,
  TlsFailureKind,
  TlsFlag,
  type TlsMemory,
  type TlsProvider,
  type TlsSession,
  TlsStatus,
} from '../../lib/sys/tls.ts'
import { FakeTls, RECORD_OVERHEAD } from './fake-tls.ts'

const PIECES_MAX = STATUS_LENGTH - TlsStatus.PIECE_ENDS

class FakeSession implements TlsSession {
  readonly isSingleUse = true
  readonly ticket: string
  readonly #books: Books
  #released = false

  constructor(books: Books, ticket: string) {
    this.#books = books
    this.ticket = ticket
    books.sessions++
  }

  release(): void {
    if (!this.#released) this.#books.sessions--
    this.#released = true
  }
}

class Books {
  engines = 0
  sessions = 0
  memories = 0
  nextMemory = 1
}

export class FakeTlsProvider implements TlsProvider {
  readonly version = 'fake'
  readonly #books = new Books()
  /** Handshakes that began from a ticket. */
  resumed = 0

  createContext({ protocols }: TlsContextOptions): TlsContext {
    const opened = (engine: FakeEngine): FakeEngine => {
      this.#books.engines++
      return engine
    }
    const resumed = (): void => void this.resumed++
    return { open: (options) => opened(new FakeEngine(this.#books, options, protocols, resumed)) }
  }

  register(input: RegisteredBuffer, output: RegisteredBuffer): TlsMemory {
    this.#books.memories++
    return { id: this.#books.nextMemory++, input, output, status: new Int32Array(STATUS_LENGTH) }
  }

  unregister(): void {
    this.#books.memories--
  }

  exportSession(session: TlsSession): Uint8Array {
    return Buffer.from((session as FakeSession).ticket)
  }

  importSession(bytes: Uint8Array): TlsSession {
    return new FakeSession(this.#books, Buffer.from(bytes).toString())
  }

  engineCount(): number {
    return this.#books.engines
  }

  /** What should be gone. */
  leftovers(): string[] {
    const { engines, sessions, memories } = this.#books
    return Object.entries({ engines, sessions, memories })
      .filter(([, count]) => count !== 0)
      .map(([what, count]) => `TLS: ${count} ${what} left`)
  }
}

class FakeEngine implements TlsEngine {
  readonly #books: Books
  readonly #options: TlsEngineOptions
  readonly #protocols: readonly string[]
  readonly #onResumed: () => void
  readonly #tls = new FakeTls(null)
  #held: Buffer = Buffer.alloc(0)
  #begun = false
  #closed = false

  constructor(books: Books, options: TlsEngineOptions, protocols: readonly string[], onResumed: () => void) {
    this.#books = books
    // The session is the caller's: what is needed of it is kept.
    const session = options.session as FakeSession | null
    this.#options = { ...options, session: session === null ? null : ({ ticket: session.ticket } as FakeSession) }
    this.#protocols = protocols
    this.#onResumed = onResumed
  }

  handshake(memory: TlsMemory, inputLength: number): number {
    this.#feed(memory, inputLength)
    if (!this.#begun) {
      this.#begun = true
      const ticket = (this.#options.session as FakeSession | null)?.ticket ?? ''
      this.#tls.begin({ name: this.#options.serverName, protocols: this.#protocols, ticket })
    }
    if (!this.#tls.isEstablished) {
      this.#tls.advance()
      if (this.#tls.isEstablished) this.#checkPeer()
    }
    this.#finish(memory)
    if (this.#tls.failure !== null) return TlsAnswer.FAILED
    return this.#tls.isEstablished ? TlsAnswer.DONE : TlsAnswer.AGAIN
  }

  read(memory: TlsMemory, inputLength: number, bytes: Uint8Array, offset: number, length: number): number {
    this.#feed(memory, inputLength)
    let count = 0
    while (count < length) {
      this.#tls.advance()
      const taken = this.#tls.takePlain(length - count)
      if (taken.length === 0) break
      bytes.set(taken, offset + count)
      count += taken.length
    }
    this.#finish(memory)
    if (count > 0) return count
    if (this.#tls.failure !== null) return TlsAnswer.FAILED
    return this.#tls.peerClosed ? TlsAnswer.DONE : TlsAnswer.AGAIN
  }

  write(memory: TlsMemory, bytes: Uint8Array, offset: number, length: number): number {
    this.#feed(memory, 0)
    let room = memory.output.bytes.length - this.#held.length
    let taken = 0
    let end = this.#held.length
    const ends: number[] = []
    while (taken < length && ends.length < PIECES_MAX && room >= PIECE_BYTES + RECORD_OVERHEAD) {
      const piece = Math.min(length - taken, PIECE_BYTES)
      const size = this.#tls.sendData(bytes.subarray(offset + taken, offset + taken + piece))
      taken += piece
      room -= size
      end += size
      ends.push(end)
    }
    this.#finish(memory)
    memory.status[TlsStatus.PIECE_COUNT] = ends.length
    memory.status.set(ends, TlsStatus.PIECE_ENDS)
    if (taken > 0) return taken
    return this.#tls.failure === null ? TlsAnswer.AGAIN : TlsAnswer.FAILED
  }

  shutdown(memory: TlsMemory): number {
    this.#feed(memory, 0)
    this.#tls.sendClose()
    this.#finish(memory)
    return TlsAnswer.DONE
  }

  useContext(): boolean {
    return false
  }

  get failure(): TlsFailure {
    return this.#tls.failure ?? { kind: TlsFailureKind.NONE, reason: '', verifyResult: 0 }
  }

  describe(): TlsDescription {
    const hello = this.#tls.hello
    const isResumed = hello?.isResumed ?? false
    const shape = { protocol: 'TLSv1.3', cipher: 'FAKE', verifyResult: 0, verifyReason: 'ok' }
    return { ...shape, alpn: hello?.protocol ?? '', isResumed }
  }

  certificates(): Uint8Array[] {
    return []
  }

  ocspResponse(): Uint8Array | null {
    return null
  }

  takeSession(): TlsSession | null {
    const ticket = this.#tls.newTickets.pop()
    return ticket === undefined ? null : new FakeSession(this.#books, ticket)
  }

  askedName(): string {
    return ''
  }

  close(): void {
    if (this.#closed) throw new Error('a TLS engine was closed twice')
    this.#closed = true
    this.#books.engines--
  }

  #checkPeer(): void {
    const { peerName } = this.#options
    const { hello } = this.#tls
    if (hello?.isResumed) this.#onResumed()
    if (peerName !== '' && !hello?.names.includes(peerName)) this.#tls.fail(TlsFailureKind.NAME, 'hostname mismatch')
  }

  #feed(memory: TlsMemory, inputLength: number): void {
    if (this.#closed) throw new Error('a closed TLS engine was used')
    if (inputLength > memory.input.bytes.length) throw new Error(`TLS input of ${inputLength} bytes`)
    memory.status.fill(0)
    this.#tls.receive(memory.input.bytes.subarray(0, inputLength))
  }

  #finish(memory: TlsMemory): void {
    const output = Buffer.concat([this.#held, ...this.#tls.output])
    this.#tls.output = []
    const placed = output.subarray(0, memory.output.bytes.length)
    memory.output.bytes.set(placed)
    this.#held = Buffer.from(output.subarray(placed.length))
    const { plain, hasRecord, failure, peerClosed, newTickets } = this.#tls
    let flags = 0
    if (plain.length > 0 || hasRecord || failure !== null || peerClosed) flags |= TlsFlag.PENDING
    if (this.#held.length > 0) flags |= TlsFlag.MORE_OUTPUT
    if (peerClosed) flags |= TlsFlag.PEER_CLOSED
    if (newTickets.length > 0) flags |= TlsFlag.HAS_SESSIONS
    memory.status[TlsStatus.FLAGS] = flags
    memory.status[TlsStatus.OUTPUT] = placed.length
  }
}
