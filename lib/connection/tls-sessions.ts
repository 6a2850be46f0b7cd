/**
 * Sessions that later connections can begin from, by the key of who may share them. Bounded; the key that was used
 * longest ago goes first. A single-use session (TLS 1.3) is given out once, the others until a newer one comes. What
 * is too old, OpenSSL and the server notice.
 */
import type { TlsSession } from '../sys/tls.ts'

/** Destinations; undici keeps as many. */
const KEYS_MAX = 100
/** Servers send two after each full handshake, and a burst of connections wants more than one. */
const SESSIONS_PER_KEY_MAX = 4

export class TlsSessions {
  readonly #sessions = new Map<string, TlsSession[]>()

  /** From now on its owner is here. */
  put(key: string, session: TlsSession): void {
    const kept = this.#sessions.get(key) ?? []
    this.#sessions.delete(key)
    this.#sessions.set(key, kept)
    if (!session.isSingleUse) releaseAll(kept)
    kept.push(session)
    if (kept.length > SESSIONS_PER_KEY_MAX) kept.shift()?.release()
    if (this.#sessions.size <= KEYS_MAX) return
    for (const oldest of this.#sessions.keys()) {
      this.forget(oldest)
      break
    }
  }

  /** The newest, or null. One of single use is the caller's to release. */
  take(key: string): TlsSession | null {
    const kept = this.#sessions.get(key)
    const session = kept?.at(-1)
    if (kept === undefined || session === undefined) return null
    if (session.isSingleUse) kept.pop()
    if (kept.length === 0) this.#sessions.delete(key)
    return session
  }

  /** A server that refused one is not offered the others. */
  forget(key: string): void {
    releaseAll(this.#sessions.get(key) ?? [])
    this.#sessions.delete(key)
  }

  clear(): void {
    for (const kept of this.#sessions.values()) releaseAll(kept)
    this.#sessions.clear()
  }

  get size(): number {
    let size = 0
    for (const kept of this.#sessions.values()) size += kept.length
    return size
  }
}

function releaseAll(sessions: TlsSession[]): void {
  for (const session of sessions.splice(0)) session.release()
}
