/**
 * Cookies of any number of transfers, by the rules of RFC 6265bis, which are those of tough-cookie, public suffixes
 * included. A jar is the user's: it can be read from and written to a file of Netscape's format at any time, and
 * outlives every Multi. Expiry follows the calendar, so this file reads the clock of the world.
 */
import { Cookie, MemoryCookieStore, CookieJar as RuleJar } from 'tough-cookie'
import { type Check, checkOptions, isBoolean, isText } from '../base/options.ts'
import { isFieldValue } from '../wire/http1/syntax.ts'
import { type FileCookie, formatCookieFile, parseCookieFile } from './cookie-file.ts'
import { readIfThere, replaceFile } from './whole-file.ts'

/** curl's limits: of one cookie, of those that one response sets, and of what one request sends. */
const COOKIE_BYTES_MAX = 4096
const SET_COOKIE_BYTES_MAX = 5000
const COOKIES_PER_RESPONSE = 50
const COOKIES_PER_REQUEST = 150
const FIELD_BYTES_MAX = 8190
/** Of the whole jar; what is over it is not learnt. Browsers keep about as many. */
const JAR_COOKIES_MAX = 3000

export interface CookieJarOptions {
  /** Read at once; a file that does not exist is an empty one. CURLOPT_COOKIEFILE. */
  file?: string
  /** What stands in such a file. */
  text?: string
  /** Pass over what ends with a session, when reading file and text. Default false. CURLOPT_COOKIESESSION. */
  cookieSession?: boolean
}

const CHECKS: Readonly<Record<keyof CookieJarOptions, Check>> = {
  file: isText,
  text: isText,
  cookieSession: isBoolean,
}

export class CookieJar {
  readonly #store = new MemoryCookieStore()
  readonly #rules: RuleJar
  readonly #cookieSession: boolean
  /** At least as many as there are; counted again when it reaches the limit. */
  #countMost = 0

  /** Throws TypeError naming the option, and Node's own error for a file that cannot be read. */
  constructor(options: CookieJarOptions = {}) {
    checkOptions('CookieJar options', options, CHECKS)
    this.#rules = new RuleJar(this.#store, { prefixSecurity: 'silent' })
    this.#cookieSession = options.cookieSession ?? false
    if (options.file !== undefined) this.load(readIfThere(options.file))
    if (options.text !== undefined) this.load(options.text)
  }

  get size(): number {
    return this.#all().length
  }

  /** Adds what stands in a file of Netscape's format; lines that are none of it are passed over. */
  load(text: string): void {
    for (const cookie of parseCookieFile(text)) {
      if (cookie.expires === 0 && this.#cookieSession) continue
      if (cookie.name.length + cookie.value.length > COOKIE_BYTES_MAX || !this.#hasRoom()) continue
      this.#put(cookie)
    }
  }

  /** Learns one Set-Cookie value as if that URL had sent it; false when the rules refuse it. CURLOPT_COOKIELIST. */
  set(setCookie: string, url: string): boolean {
    if (setCookie.length > SET_COOKIE_BYTES_MAX || !this.#hasRoom()) return false
    const cookie = Cookie.parse(setCookie)
    if (cookie === undefined || cookie.key.length + cookie.value.length > COOKIE_BYTES_MAX) return false
    try {
      return this.#rules.setCookieSync(cookie, url) !== undefined
    } catch {
      // Refused: another host's, a public suffix.
      return false
    }
  }

  /** Value of Cookie for a request to that URL; '' when there is none. */
  get(url: string): string {
    let text = ''
    let count = 0
    for (const cookie of this.#matching(url)) {
      const pair = cookie.cookieString()
      if (text.length + pair.length + 2 > FIELD_BYTES_MAX || !isFieldValue(pair)) continue
      text += text === '' ? pair : `; ${pair}`
      if (++count === COOKIES_PER_REQUEST) break
    }
    return text
  }

  /** @internal What one response sets. */
  learn(setCookies: readonly string[], url: string): void {
    for (const value of setCookies.slice(0, COOKIES_PER_RESPONSE)) this.set(value, url)
  }

  /** In Netscape's format; what has expired is left out. CURLINFO_COOKIELIST. */
  text(): string {
    const now = Date.now()
    const lines = this.#all().filter((cookie) => (cookie.expiryTime() ?? Number.POSITIVE_INFINITY) > now)
    return formatCookieFile(lines.map(toFile))
  }

  /** Writes `text()`, whole or not at all; others may not read it. CURLOPT_COOKIEJAR. */
  save(file: string): void {
    replaceFile(file, this.text())
  }

  clear(): void {
    this.#rules.removeAllCookiesSync()
    this.#countMost = 0
  }

  /** Past the rules of who may set what: a file is the user's word. */
  #put(from: FileCookie): void {
    const cookie = new Cookie({
      key: from.name,
      value: from.value,
      domain: from.domain,
      hostOnly: from.hostOnly,
      path: from.path,
      secure: from.secure,
      httpOnly: from.httpOnly,
      expires: from.expires === 0 ? 'Infinity' : new Date(from.expires * 1000),
      creation: new Date(),
      lastAccessed: new Date(),
    })
    this.#store.putCookie(cookie, () => {})
  }

  /** In the order in which they are sent. */
  #matching(url: string): readonly Cookie[] {
    try {
      return this.#rules.getCookiesSync(url, { sort: true })
    } catch {
      // A host that is itself a public suffix or a reserved name has none.
      return []
    }
  }

  #hasRoom(): boolean {
    if (this.#countMost >= JAR_COOKIES_MAX) this.#countMost = this.#all().length
    return this.#countMost++ < JAR_COOKIES_MAX
  }

  /** Oldest first. The store answers before it returns. */
  #all(): readonly Cookie[] {
    let all: readonly Cookie[] = []
    this.#store.getAllCookies((_error, cookies) => {
      all = cookies ?? []
    })
    return all
  }
}

function toFile(cookie: Cookie): FileCookie {
  const expiry = cookie.expiryTime()
  return {
    domain: cookie.domain ?? '',
    hostOnly: cookie.hostOnly ?? false,
    path: cookie.path ?? '/',
    secure: cookie.secure,
    httpOnly: cookie.httpOnly,
    expires: expiry === undefined || expiry === Number.POSITIVE_INFINITY ? 0 : Math.ceil(expiry / 1000),
    name: cookie.key,
    value: cookie.value,
  }
}
