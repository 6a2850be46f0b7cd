/**
 * Proves who asks, to a server (WWW-Authenticate, 401) or a proxy (Proxy-Authenticate, 407): it is told challenges and
 * gives the value of the next request's Authorization or Proxy-Authorization. One scheme that needs no challenge is
 * used from the first request on; otherwise the first goes without, and the strongest scheme that is offered and wanted
 * is taken. A refusal of what was sent is final, but for a nonce that has gone stale.
 */
import type { AuthChallenge } from '../wire/auth-challenge.ts'
import type { Credentials } from './credentials.ts'
import { type DigestChallenge, DigestSession, type RandomBytes, readDigestChallenge } from './digest.ts'

/** Strongest first. */
export const AUTH_SCHEMES = ['bearer', 'digest', 'basic'] as const
export type AuthScheme = (typeof AUTH_SCHEMES)[number]

/** Requests repeated because of challenges, between two answers that were none. */
const REPETITIONS_MAX = 4

export class Authentication {
  /** '' before any was. */
  used: AuthScheme | '' = ''
  /** Why the last challenges could not be answered; '' when nothing is worth saying. */
  problem = ''
  readonly #schemes: readonly AuthScheme[]
  readonly #credentials: Credentials | null
  readonly #bearerToken: string | null
  readonly #randomBytes: RandomBytes
  #chosen: AuthScheme | null = null
  #digest: DigestSession | null = null
  #repetitions = 0

  constructor(
    schemes: readonly AuthScheme[],
    credentials: Credentials | null,
    bearerToken: string | null,
    randomBytes: RandomBytes,
  ) {
    this.#schemes = schemes
    this.#credentials = credentials
    this.#bearerToken = bearerToken
    this.#randomBytes = randomBytes
    const [only] = schemes
    if (schemes.length === 1 && only !== undefined && only !== 'digest' && this.#isUsable(only)) this.#chosen = only
  }

  /** For the next request; null: it goes without. */
  authorization(method: string, target: string): string | null {
    if (this.#chosen === null) return null
    this.used = this.#chosen
    switch (this.#chosen) {
      case 'bearer':
        return `Bearer ${this.#bearerToken}`
      case 'basic':
        return basicAuthorization(this.#credentials as Credentials)
      case 'digest':
        return (this.#digest as DigestSession).authorization(method, target)
    }
  }

  /** True when the request is worth repeating, with what `authorization` then says. */
  answer(challenges: readonly AuthChallenge[]): boolean {
    this.problem = ''
    if (this.#repetitions >= REPETITIONS_MAX) return false
    const isAnswered = this.#chosen === null ? this.#choose(challenges) : this.#isWorthAgain(challenges)
    if (isAnswered) this.#repetitions++
    return isAnswered
  }

  /** An answer came that was no challenge. */
  accepted(): void {
    this.#repetitions = 0
  }

  #choose(challenges: readonly AuthChallenge[]): boolean {
    for (const scheme of AUTH_SCHEMES) {
      if (!this.#schemes.includes(scheme) || !this.#isUsable(scheme)) continue
      if (!challenges.some((challenge) => challenge.scheme === scheme)) continue
      if (scheme === 'digest' && !this.#beginDigest(this.#strongestDigest(challenges))) continue
      this.#chosen = scheme
      return true
    }
    return false
  }

  #isWorthAgain(challenges: readonly AuthChallenge[]): boolean {
    if (this.#digest === null) return false
    const challenge = this.#strongestDigest(challenges)
    if (challenge === null) return false
    // Behind a redirect another realm may ask; the old one's refusal is final.
    const isNew = challenge.isStale || challenge.realm !== this.#digest.challenge.realm
    return isNew && this.#beginDigest(challenge)
  }

  #beginDigest(challenge: DigestChallenge | null): boolean {
    if (challenge === null) return false
    this.#digest = new DigestSession(challenge, this.#credentials as Credentials, this.#randomBytes)
    return true
  }

  #strongestDigest(challenges: readonly AuthChallenge[]): DigestChallenge | null {
    let best: DigestChallenge | null = null
    for (const challenge of challenges) {
      if (challenge.scheme !== 'digest') continue
      const read = readDigestChallenge(challenge)
      if (typeof read === 'string') this.problem = read
      else if (best === null || read.strength > best.strength) best = read
    }
    if (best !== null) this.problem = ''
    return best
  }

  #isUsable(scheme: AuthScheme): boolean {
    return scheme === 'bearer' ? this.#bearerToken !== null : this.#credentials !== null
  }
}

function basicAuthorization({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
