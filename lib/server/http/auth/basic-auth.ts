/**
 * Basic (RFC 7617) of the server's side. The program decides about a name and a password; it should compare what is
 * secret with `crypto.timingSafeEqual`. Use it over TLS: the password is sent as it is.
 */
import { checkOptions, isFunction } from '../../../base/options.ts'
import { quoteString } from '../../../wire/auth-challenge.ts'
import type { HeaderPairs } from '../../../wire/http1/header-list.ts'
import { type Authenticator, type AuthRequest, type AuthVerdict, CREDENTIALS_BYTES_MAX } from './authenticator.ts'
import { isRealm } from './realm.ts'

export interface BasicAuthOptions {
  /** What the user is told it is for. */
  readonly realm: string
  readonly verify: (username: string, password: string) => boolean
}

const CHECKS = { realm: isRealm, verify: isFunction } as const
const CREDENTIALS = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i
const MISSING: AuthVerdict = { result: 'missing', username: '' }

export class BasicAuth implements Authenticator {
  readonly #options: BasicAuthOptions
  readonly #challenge: HeaderPairs

  constructor(options: BasicAuthOptions) {
    checkOptions('BasicAuth options', options, CHECKS)
    isRealm('realm', options.realm)
    isFunction('verify', options.verify)
    this.#options = options
    this.#challenge = [['WWW-Authenticate', `Basic realm=${quoteString(options.realm)}, charset="UTF-8"`]]
  }

  check(request: AuthRequest): AuthVerdict {
    const field = request.headers.first('authorization')
    if (field === undefined || !/^basic(?: |$)/i.test(field)) return MISSING
    if (field.length > CREDENTIALS_BYTES_MAX) return { result: 'too-large', username: '' }
    const text = CREDENTIALS.exec(field)?.[1]
    const decoded = text === undefined ? '' : Buffer.from(text, 'base64').toString('utf8')
    const colon = decoded.indexOf(':')
    if (colon < 0) return { result: 'wrong-header', username: '' }
    const username = decoded.slice(0, colon)
    const isRight = this.#options.verify(username, decoded.slice(colon + 1)) === true
    return { result: isRight ? 'ok' : 'wrong-response', username }
  }

  challenge(): HeaderPairs {
    return this.#challenge
  }
}
