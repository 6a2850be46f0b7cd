/**
 * What the TLS connections of one Multi share: the way to OpenSSL, contexts by the key of their settings, sessions, and
 * memory for ciphertext. Memory is borrowed for the time of one call; TLS inside TLS borrows twice at once, so there
 * are as many as layers are on the stack. Where there is no TLS at all, `problem` says why.
 */
import { TransferError } from '../base/errors.ts'

import { Facility, type Host } from '../multi/host.ts'
import type { RegisteredBuffer } from '../sys/kernel.ts'
import { PIECE_BYTES, type TlsContext, type TlsMemory, type TlsProvider } from '../sys/tls.ts'
import { TlsSessions } from './tls-sessions.ts'
import type { TlsSettings } from './tls-settings.ts'

/** A record with its header and what a cipher adds to it. */
const RECORD_BYTES_MAX = PIECE_BYTES + 512
/** What one call decrypts. */
const INPUT_BYTES = 4 * RECORD_BYTES_MAX
const OUTPUT_BYTES = 5 * RECORD_BYTES_MAX
/** Contexts hold certificates; one who uses more different settings makes some of them anew. */
const CONTEXTS_MAX = 64

export type TlsHost = Pick<Host, 'kernel' | 'scratch' | 'limits'>

export class TlsService {
  readonly provider: TlsProvider | null
  readonly problem: Error | null
  readonly sessions: TlsSessions
  readonly host: TlsHost
  readonly #contexts = new Map<string, TlsContext>()
  readonly #memories: TlsMemory[] = []
  readonly #buffers = new Map<number, Uint8Array>()
  #borrowed = 0

  constructor(host: TlsHost, open: () => TlsProvider) {
    this.host = host
    this.sessions = new TlsSessions(host.limits.maxHostConnections)
    let provider: TlsProvider | null = null
    let problem: Error | null = null
    try {
      provider = open()
    } catch (cause) {
      problem = cause as Error
    }
    this.provider = provider
    this.problem = problem
  }

  context(settings: TlsSettings, protocols: readonly string[]): TlsContext | TransferError {
    if (this.provider === null) {
      return new TransferError('UNSUPPORTED_PROTOCOL', this.problem?.message ?? 'no TLS', this.problem)
    }
    const key = contextKey(settings, protocols)
    const known = this.#contexts.get(key)
    if (known !== undefined) return known
    const made = this.provider.createContext({ ...settings.context, protocols })
    if (made instanceof TransferError) return made
    if (this.#contexts.size === CONTEXTS_MAX) this.#forgetOldestContext()
    this.#contexts.set(key, made)
    return made
  }

  /** To be given back in the opposite order, within the same call. */
  borrow(): TlsMemory {
    const memory = this.#memories[this.#borrowed] ?? this.#newMemory()
    this.#borrowed++
    return memory
  }

  giveBack(): void {
    this.#borrowed--
  }

  /** The kernel names buffers by number; bytes of one that is not ours must be made known with `know`. */
  bytesOf(bufferId: number): Uint8Array {
    const { scratch } = this.host
    if (bufferId === scratch.id) return scratch.bytes
    const bytes = this.#buffers.get(bufferId)
    if (bytes === undefined) throw new RangeError(`bufferId ${bufferId} is not known to TLS`)
    return bytes
  }

  know(buffer: RegisteredBuffer): void {
    this.#buffers.set(buffer.id, buffer.bytes)
  }

  forget(bufferId: number): void {
    this.#buffers.delete(bufferId)
  }

  close(): void {
    for (const memory of this.#memories.splice(0)) {
      this.provider?.unregister(memory)
      this.host.kernel.release(memory.input.id)
      this.host.kernel.release(memory.output.id)
    }
    this.#contexts.clear()
    this.sessions.clear()
  }

  #newMemory(): TlsMemory {
    const { kernel } = this.host
    const input = kernel.allocate(INPUT_BYTES)
    const output = kernel.allocate(OUTPUT_BYTES)
    const memory = (this.provider as TlsProvider).register(input, output)
    this.#memories.push(memory)
    // A layer of TLS above receives and sends through these.
    this.know(input)
    this.know(output)
    return memory
  }

  #forgetOldestContext(): void {
    for (const key of this.#contexts.keys()) {
      this.#contexts.delete(key)
      return
    }
  }
}

/** Connections with the same key may stand for each other. */
export function contextKey(settings: TlsSettings, protocols: readonly string[]): string {
  return `${settings.key} ${protocols.join()}`
}

export const tlsService: Facility<TlsService> = new Facility(
  (host) => new TlsService(host, () => host.openTls()),
  (service) => service.close(),
)
