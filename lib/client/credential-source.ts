/**
 * Whose name and password go to which URL. Those of the options and of the first URL are for the first origin alone;
 * another origin gets what its own URL says, or what .netrc says of its host by name, never the `default` entry.
 */
import type { ParsedUrl } from '../wire/url.ts'
import { type Credentials, hasControl } from './credentials.ts'
import type { Netrc } from './netrc.ts'

export class CredentialSource {
  readonly #given: Credentials | null
  readonly #first: ParsedUrl
  readonly #isUnrestricted: boolean
  readonly #netrc: Netrc | null
  /** The URL's own are ignored (CURL_NETRC_REQUIRED). */
  readonly #netrcIsRequired: boolean

  /** Throws an Error when the first URL has control characters in them. */
  constructor(
    given: Credentials | null,
    first: ParsedUrl,
    isUnrestricted: boolean,
    netrc: Netrc | null,
    netrcIsRequired: boolean,
  ) {
    this.#given = given
    this.#first = first
    this.#isUnrestricted = isUnrestricted
    this.#netrc = netrc
    this.#netrcIsRequired = netrcIsRequired
    credentialsOf(first)
  }

  /**
   * `isFirst`: the first origin, or what stands for it over TLS. Throws an Error when the URL has control characters in
   * them.
   */
  find(url: ParsedUrl, isFirst: boolean = url.origin === this.#first.origin): Credentials | null {
    const isTrusted = isFirst || this.#isUnrestricted
    const own = credentialsOf(url)
    if (this.#given !== null && isTrusted) return this.#given
    if (this.#netrcIsRequired) return this.#netrc?.find(url.host, '', isFirst) ?? null
    const named = own ?? (isTrusted ? credentialsOf(this.#first) : null)
    if (this.#netrc === null || (named !== null && named.password !== '')) return named
    return this.#netrc.find(url.host, named?.username ?? '', isFirst) ?? named
  }
}

function credentialsOf({ username, password }: ParsedUrl): Credentials | null {
  if (hasControl(username) || hasControl(password)) {
    throw new Error('URL has a control character in the user name or password')
  }
  return username === '' && password === '' ? null : { username, password }
}
