/**
 * Sessions that later connections can begin from, by the key of who may share them. Bounded, per key and in all; the
 * key that was used longest ago goes first. A single-use session (TLS 1.3) is given out once, the others until a newer
 * one comes. What is too old, OpenSSL and the server notice.
 */
import type { TlsSession } from '../sys/tls.ts'

/** Destinations; undici keeps as many. */
const KEYS_MAX = 100
/** A session holds its server's certificate and a ticket: a few kilobytes each. */
const SESSIONS_MAX = 1024

export class TlsSessions {
  readonly #sessions = new Map<string, TlsSession[]>()
  readonly #perKeyMax: number
  readonly #max: number
  #size = 0

  /** As many per key as connections may go to one origin, so that a burst of them begins from as many tickets. */
  constructor(perKeyMax: number) {
    this.#perKeyMax = perKeyMax
    this.#max = Math.max(SESSIONS_MAX, perKeyMax)
  }

  get size(): number {
    return this.#size
  }

  /** From now on its owner is here. */
  put(key: string, session: TlsSession): void {
    const kept = this.#sessions.get(key) ?? []
    this.#sessions.delete(key)
    this.#sessions.set(key, kept)
    if (!session.isSingleUse) this.#releaseAll(kept)
    kept.push(session)
    this.#size++
    if (kept.length > this.#perKeyMax) this.#releaseOldest(kept)
    if (this.#sessions.size <= KEYS_MAX && this.#size <= this.#max) return
    for (const [oldest, sessions] of this.#sessions) {
      if (this.#sessions.size > KEYS_MAX || sessions.length === 1) this.forget(oldest)
      else this.#releaseOldest(sessions)
      return
    }
  }

  /** The newest, or null. One of single use is the caller's to release. */
  take(key: string): TlsSession | null {
    const kept = this.#sessions.get(key)
    const session = kept?.at(-1)
    if (kept === undefined || session === undefined) return null
    if (session.isSingleUse) {
      kept.pop()
      this.#size--
    }
    if (kept.length === 0) this.#sessions.delete(key)
    return session
  }

  /** A server that refused one is not offered the others. */
  forget(key: string): void {
    this.#releaseAll(this.#sessions.get(key) ?? [])
    this.#sessions.delete(key)
  }

  /** All of them, those of the key used longest ago first, the oldest of a key first. They stay here. */
  *entries(): Iterable<readonly [key: string, session: TlsSession]> {
    for (const [key, kept] of this.#sessions) {
      for (const session of kept) yield [key, session]
    }
  }

  clear(): void {
    for (const kept of this.#sessions.values()) this.#releaseAll(kept)
    this.#sessions.clear()
  }

  #releaseOldest(sessions: TlsSession[]): void {
    sessions.shift()?.release()
    this.#size--
  }

  #releaseAll(sessions: TlsSession[]): void {
    this.#size -= sessions.length
    for (const session of sessions.splice(0)) session.release()
  }
}
