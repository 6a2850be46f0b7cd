/**
 * Answers to Digest challenges (RFC 7616): MD5, SHA-256 and SHA-512-256, each also as -sess, with qop auth or, for old
 * servers, without (RFC 2069). The server's nonce is used again with a counter that goes up; whoever keeps a session
 * keeps the counter. auth-int is refused: the whole body would have to be known before the head is sent.
 */
import { type AuthChallenge, quoteString } from '../wire/auth-challenge.ts'
import { DIGEST_HASHES, digestKey, digestProof, digestSessionKey, digestUserHash } from '../wire/digest-proof.ts'
import { isFieldValue } from '../wire/http1/syntax.ts'
import type { Credentials } from './credentials.ts'

/** Random bytes of the client nonce; given from outside so that a simulation repeats itself. */
export type RandomBytes = (size: number) => Uint8Array

/** Without padding in base64. */
const CLIENT_NONCE_BYTES = 33
/** How good a challenge is; RFC 7616 §3.7 lets the client choose. */
const STRENGTHS: readonly string[] = Object.keys(DIGEST_HASHES)

export interface DigestChallenge {
  readonly realm: string
  readonly nonce: string
  readonly opaque: string | null
  /** As the server spelled it; null when it did not: MD5 then. */
  readonly algorithm: string | null
  readonly hash: string
  readonly isSession: boolean
  /** false: of RFC 2069, without counters. */
  readonly hasQop: boolean
  readonly isStale: boolean
  readonly usesUserHash: boolean
  readonly isUtf8: boolean
  readonly strength: number
}

/** A text says why the challenge cannot be answered. */
export function readDigestChallenge({ parameters }: AuthChallenge): DigestChallenge | string {
  const realm = parameters.get('realm') ?? ''
  const nonce = parameters.get('nonce')
  if (nonce === undefined) return 'the Digest challenge has no nonce'
  const algorithm = parameters.get('algorithm') ?? null
  const upper = (algorithm ?? 'MD5').toUpperCase()
  const isSession = upper.endsWith('-SESS')
  const base = isSession ? upper.slice(0, -5) : upper
  const hash = Object.hasOwn(DIGEST_HASHES, base) ? DIGEST_HASHES[base] : undefined
  if (hash === undefined) return `the Digest algorithm '${algorithm}' is not supported`
  const qop = parameters.get('qop')
  const qualities = (qop ?? '').toLowerCase().split(',')
  if (qop !== undefined && !qualities.some((quality) => quality.trim() === 'auth')) {
    return `the Digest quality of protection '${qop}' is not supported, only auth is`
  }
  return {
    realm,
    nonce,
    opaque: parameters.get('opaque') ?? null,
    algorithm,
    hash,
    isSession,
    hasQop: qop !== undefined,
    isStale: parameters.get('stale')?.toLowerCase() === 'true',
    usesUserHash: parameters.get('userhash')?.toLowerCase() === 'true',
    isUtf8: parameters.get('charset')?.toLowerCase() === 'utf-8',
    strength: STRENGTHS.indexOf(base),
  }
}

export class DigestSession {
  readonly challenge: DigestChallenge
  readonly #credentials: Credentials
  readonly #randomBytes: RandomBytes
  readonly #clientNonce: string
  #count = 0

  constructor(challenge: DigestChallenge, credentials: Credentials, randomBytes: RandomBytes) {
    this.challenge = challenge
    this.#credentials = credentials
    this.#randomBytes = randomBytes
    this.#clientNonce = this.#newNonce()
  }

  /** Value of Authorization or Proxy-Authorization for the next request. */
  authorization(method: string, target: string): string {
    const { realm, nonce, opaque, algorithm, hash, isSession, hasQop, usesUserHash } = this.challenge
    this.#count++
    const count = this.#count.toString(16).padStart(8, '0')
    // With -sess the first client nonce is part of the key, so it stays; otherwise each request has its own.
    const clientNonce = isSession || this.#count === 1 ? this.#clientNonce : this.#newNonce()
    const key = this.#key()
    const proof = digestProof({ hash, key, nonce, count: hasQop ? count : null, clientNonce, method, target })
    const fields = [
      this.#usernameField(),
      `realm=${quoteString(realm)}`,
      `nonce=${quoteString(nonce)}`,
      `uri=${quoteString(target)}`,
      `response="${proof}"`,
    ]
    if (algorithm !== null) fields.push(`algorithm=${algorithm}`)
    if (hasQop || isSession) fields.push(`cnonce="${clientNonce}"`)
    if (hasQop) fields.push(`nc=${count}`, 'qop=auth')
    if (opaque !== null) fields.push(`opaque=${quoteString(opaque)}`)
    if (usesUserHash) fields.push('userhash=true')
    return `Digest ${fields.join(', ')}`
  }

  #key(): string {
    const { realm, nonce, hash, isSession } = this.challenge
    const { username, password } = this.#credentials
    const key = digestKey(hash, username, realm, password)
    return isSession ? digestSessionKey(hash, key, nonce, this.#clientNonce) : key
  }

  #usernameField(): string {
    const { username } = this.#credentials
    const { realm, hash, usesUserHash, isUtf8 } = this.challenge
    if (usesUserHash) return `username="${digestUserHash(hash, username, realm)}"`
    const bytes = Buffer.from(username).toString('latin1')
    if (isUtf8 && bytes !== username) return `username*=UTF-8''${encodeExtended(username)}`
    if (!isFieldValue(bytes)) throw new Error('a user name with control characters was let through')
    return `username=${quoteString(bytes)}`
  }

  #newNonce(): string {
    return Buffer.from(this.#randomBytes(CLIENT_NONCE_BYTES)).toString('base64')
  }
}

/** The value characters of RFC 8187 §3.2.1. */
function encodeExtended(text: string): string {
  return encodeURIComponent(text).replace(/['()*]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  })
}
