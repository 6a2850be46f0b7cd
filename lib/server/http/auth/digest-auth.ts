/**
 * Digest (RFC 7616) of the server's side: MD5, SHA-256 and SHA-512-256, each also as -sess, qop auth. Nonces carry
 * their time and a proof that they are ours, so nothing is kept for those that are never used; of the used ones the
 * counters are kept, as many as the table holds, and what was pushed out of it is stale, never good again.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { type Check, checkOptions, isDuration, isFunction, isInteger, wrongType } from '../../../base/options.ts'
import type { Clock } from '../../../sys/clock.ts'
import { defaults } from '../../../sys/defaults.ts'
import { type AuthChallenge, parseAuthChallenges, quoteString } from '../../../wire/auth-challenge.ts'
import { DIGEST_HASHES, digestKey, digestProof, digestSessionKey, digestUserHash } from '../../../wire/digest-proof.ts'
import type { HeaderPairs } from '../../../wire/http1/header-list.ts'
import {
  type Authenticator,
  type AuthRequest,
  type AuthResult,
  type AuthVerdict,
  CREDENTIALS_BYTES_MAX,
} from './authenticator.ts'
import { NonceBook, type NonceVerdict } from './nonce-book.ts'
import { isRealm } from './realm.ts'

/** libmicrohttpd's is 90 s; RFC 7616 leaves it open. A client whose nonce is too old asks again by itself. */
const NONCE_LIFETIME_MS = 300_000
/** libmicrohttpd keeps 4 counters unless told otherwise, which a handful of browsers exhausts. */
const NONCES_MAX = 4096
const SECRET_BYTES = 32

export type DigestAlgorithm = 'MD5' | 'SHA-256' | 'SHA-512-256'
/** What a nonce is good for besides its realm: nothing more, one target, or one address. */
export type NonceBinding = 'realm' | 'target' | 'address'

export interface DigestAuthOptions {
  readonly realm: string
  /** The password of that user, or what `digestKey` makes of it, or null: no such user. */
  readonly password: (username: string, algorithm: DigestAlgorithm) => string | { readonly key: string } | null
  /** Offered best first; a client takes the first that it knows. Default: SHA-256, MD5. */
  readonly algorithms?: readonly DigestAlgorithm[]
  /** Names of all users, which lets clients send a hash of the name instead of it. */
  readonly users?: () => Iterable<string>
  readonly nonceLifetimeMs?: number
  /** Nonces whose counters are kept. */
  readonly noncesMax?: number
  readonly bind?: NonceBinding
  /** The same in every process that shall know the nonces; at least 16 bytes. Default: random. */
  readonly secret?: Uint8Array
  /** For tests. Default: the system's. */
  readonly clock?: Clock
}

const isAlgorithms: Check = (option, value) => {
  const isList = Array.isArray(value) && value.length > 0 && value.every((one) => Object.hasOwn(DIGEST_HASHES, one))
  if (!isList) throw wrongType(option, `a list of ${Object.keys(DIGEST_HASHES).join(', ')}`, value)
}

const isBinding: Check = (option, value) => {
  if (value !== 'realm' && value !== 'target' && value !== 'address') {
    throw wrongType(option, "'realm', 'target' or 'address'", value)
  }
}

const isSecret: Check = (option, value) => {
  if (!(value instanceof Uint8Array) || value.length < 16) throw wrongType(option, 'at least 16 bytes', 'fewer')
}

const isClock: Check = (option, value) => {
  if (typeof (value as Clock | null)?.now !== 'function') throw wrongType(option, 'a Clock', value)
}

const CHECKS: Readonly<Record<keyof DigestAuthOptions, Check>> = {
  realm: isRealm,
  password: isFunction,
  algorithms: isAlgorithms,
  users: isFunction,
  nonceLifetimeMs: isDuration,
  noncesMax: isInteger(1, 10_000_000),
  bind: isBinding,
  secret: isSecret,
  clock: isClock,
}

const NONCE_RESULTS: Readonly<Record<NonceVerdict, AuthResult>> = {
  good: 'ok',
  wrong: 'wrong-nonce',
  other: 'other-nonce',
  stale: 'stale-nonce',
}

/** What an Authorization field says, complete and of the right shape. */
interface Credentials {
  readonly username: string
  readonly nonce: string
  readonly target: string
  readonly response: string
  readonly algorithm: DigestAlgorithm
  readonly isSession: boolean
  readonly count: string
  readonly clientNonce: string
}

export class DigestAuth implements Authenticator {
  readonly #options: DigestAuthOptions
  readonly #algorithms: readonly DigestAlgorithm[]
  readonly #nonces: NonceBook
  readonly #binding: NonceBinding
  /** As it stands on the wire. */
  readonly #realm: string

  constructor(options: DigestAuthOptions) {
    checkOptions('DigestAuth options', options, CHECKS)
    isRealm('realm', options.realm)
    isFunction('password', options.password)
    this.#options = options
    this.#algorithms = options.algorithms ?? ['SHA-256', 'MD5']
    this.#binding = options.bind ?? 'realm'
    this.#realm = Buffer.from(options.realm).toString('latin1')
    this.#nonces = new NonceBook({
      secret: options.secret ?? randomBytes(SECRET_BYTES),
      clock: options.clock ?? defaults.clock,
      lifetimeMs: options.nonceLifetimeMs ?? NONCE_LIFETIME_MS,
      noncesMax: options.noncesMax ?? NONCES_MAX,
    })
  }

  check(request: AuthRequest): AuthVerdict {
    const field = request.headers.first('authorization')
    if (field === undefined || !/^digest(?: |$)/i.test(field)) return { result: 'missing', username: '' }
    if (field.length > CREDENTIALS_BYTES_MAX) return { result: 'too-large', username: '' }
    const challenge = parseAuthChallenges([field])[0]
    if (challenge === undefined) return { result: 'wrong-header', username: '' }
    const credentials = this.#read(challenge)
    if (typeof credentials === 'string') return { result: credentials, username: '' }
    const { username } = credentials
    if (!sameTarget(credentials.target, request.url)) return { result: 'wrong-uri', username }
    const { nonce, count } = credentials
    // The answer is looked at before the counter is used up: a stranger cannot spend a client's.
    const verdict = this.#nonces.judge(nonce, this.#boundTo(request))
    if (verdict !== 'good') return { result: NONCE_RESULTS[verdict], username }
    if (!this.#isRight(credentials, request.method)) return { result: 'wrong-response', username }
    return { result: NONCE_RESULTS[this.#nonces.use(nonce, Number.parseInt(count, 16))], username }
  }

  challenge(request: AuthRequest, verdict: AuthVerdict): HeaderPairs {
    const nonce = this.#nonces.make(this.#boundTo(request))
    const isStale = verdict.result.endsWith('-nonce')
    return this.#algorithms.map((algorithm) => {
      const userHash = this.#options.users === undefined ? '' : ', userhash=true'
      const fields = `realm=${quoteString(this.#realm)}, qop="auth", algorithm=${algorithm}, nonce="${nonce}"`
      return ['WWW-Authenticate', `Digest ${fields}, charset="UTF-8"${userHash}${isStale ? ', stale=true' : ''}`]
    })
  }

  #boundTo(request: AuthRequest): string {
    const what = this.#binding
    return what === 'target' ? request.url : what === 'address' ? (request.peer?.address ?? '') : ''
  }

  #read({ parameters }: AuthChallenge): Credentials | AuthResult {
    const get = (name: string): string => parameters.get(name) ?? ''
    if (parameters.size === 0) return 'wrong-header'
    if (get('realm') !== this.#realm) return 'wrong-realm'
    const spelled = (parameters.get('algorithm') ?? 'MD5').toUpperCase()
    const isSession = spelled.endsWith('-SESS')
    const algorithm = (isSession ? spelled.slice(0, -5) : spelled) as DigestAlgorithm
    if (!this.#algorithms.includes(algorithm)) return 'wrong-algorithm'
    if (get('qop').toLowerCase() !== 'auth') return 'wrong-qop'
    const [nonce, target, response, count, clientNonce] = ['nonce', 'uri', 'response', 'nc', 'cnonce'].map(get)
    if (!nonce || !target || !clientNonce || !/^[0-9a-f]{8}$/i.test(count ?? '')) return 'wrong-header'
    if (!/^(?:[0-9a-f]{32}|[0-9a-f]{64})$/i.test(response ?? '')) return 'wrong-header'
    const username = this.#readUsername(parameters, algorithm)
    if (username === null) return 'wrong-username'
    const told = { nonce, target, clientNonce, algorithm, isSession, username }
    return { ...told, count: count as string, response: (response as string).toLowerCase() }
  }

  /** null when it is missing, or a hash of nobody's name. */
  #readUsername(parameters: ReadonlyMap<string, string>, algorithm: DigestAlgorithm): string | null {
    const extended = parameters.get('username*')
    if (extended !== undefined) return decodeExtended(extended)
    const name = parameters.get('username')
    if (name === undefined) return null
    if (parameters.get('userhash')?.toLowerCase() !== 'true') return Buffer.from(name, 'latin1').toString('utf8')
    const hash = DIGEST_HASHES[algorithm] as string
    for (const user of this.#options.users?.() ?? []) {
      if (digestUserHash(hash, user, this.#realm) === name.toLowerCase()) return user
    }
    return null
  }

  #isRight(credentials: Credentials, method: string): boolean {
    const { username, algorithm, isSession, nonce, clientNonce, count, target, response } = credentials
    const hash = DIGEST_HASHES[algorithm] as string
    const secret = this.#options.password(username, algorithm)
    // One who does not exist takes as long as one who does.
    const known = secret ?? ''
    const user = typeof known === 'string' ? digestKey(hash, username, this.#realm, known) : known.key
    const key = isSession ? digestSessionKey(hash, user, nonce, clientNonce) : user
    const expected = digestProof({ hash, key, nonce, count, clientNonce, method, target })
    return isEqual(expected, response) && secret !== null
  }
}

function isEqual(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one, 'latin1'), Buffer.from(other, 'latin1'))
}

/** A proxy may have made one of them absolute. */
function sameTarget(one: string, other: string): boolean {
  return one === other || withoutOrigin(one) === withoutOrigin(other)
}

function withoutOrigin(target: string): string {
  return target.replace(/^https?:\/\/[^/?]*/i, '') || '/'
}

/** The extended value of RFC 8187 §3.2; null when it is none in UTF-8. */
function decodeExtended(value: string): string | null {
  const text = /^utf-8'[^']*'(.*)$/i.exec(value)?.[1]
  if (text === undefined) return null
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
