/**
 * HttpOptions checked and made ready: the .netrc file is read, schemes are a list, headers know their origin. Throws
 * TypeError or RangeError that names the option; secrets are not repeated.
 */
import { randomBytes } from 'node:crypto'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Check, isBoolean, isFunction, isInteger, isText, show, wrongRange, wrongType } from '../base/options.ts'
import { isFieldValue, isTarget } from '../wire/http1/syntax.ts'
import type { ParsedUrl } from '../wire/url.ts'
import { AUTH_SCHEMES, type AuthScheme } from './authentication.ts'
import { CookieJar } from './cookie-jar.ts'
import { CredentialSource } from './credential-source.ts'
import { type Credentials, hasControl } from './credentials.ts'
import type { RandomBytes } from './digest.ts'
import { HstsStore } from './hsts-store.ts'
import type { HttpOptions } from './http-options.ts'
import { Netrc } from './netrc.ts'
import { POST_REDIRECTS, type PostRedirect } from './redirect.ts'

/** curl's default of MAXREDIRS. */
const REDIRECTS_MAX = 30
const REDIRECTS_LIMIT = 10_000
const REDIRECT_PROTOCOLS = ['http', 'https'] as const
const NETRC_MODES: readonly unknown[] = ['ignored', 'optional', 'required']

export interface HttpSettings {
  readonly followRedirects: boolean
  readonly maxRedirects: number
  readonly postRedirect: readonly PostRedirect[]
  readonly autoReferer: boolean
  readonly redirectProtocols: readonly string[]
  readonly unrestrictedAuth: boolean
  readonly authSchemes: readonly AuthScheme[]
  readonly bearerToken: string | null
  readonly credentials: CredentialSource
  readonly randomBytes: RandomBytes
  readonly cookies: CookieJar | null
  readonly hsts: HstsStore | null
}

const isPlainField: Check = (option, value) => {
  isText(option, value)
  if (!isFieldValue(value as string)) throw wrongType(option, 'a string without control characters', value)
}

/** Checks of a secret: what is wrong is said without it. */
const isSecret: Check = (option, value) => {
  if (typeof value !== 'string') throw new TypeError(`option ${option} must be a string`)
  if (hasControl(value)) throw new TypeError(`option ${option} must be a string without control characters`)
}

const isBearerToken: Check = (option, value) => {
  isSecret(option, value)
  if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(value as string)) {
    throw new TypeError(`option ${option} must be a token of letters, digits and -._~+/ (RFC 6750)`)
  }
}

const isTargetText: Check = (option, value) => {
  isText(option, value)
  if (!isTarget(value as string)) throw wrongType(option, 'visible ASCII without white space', value)
}

function isOneOf(...allowed: readonly unknown[]): Check {
  return (option, value) => {
    if (!allowed.includes(value)) throw wrongRange(option, allowed.map(show).join(' or '), value)
  }
}

function isListOf(...allowed: readonly unknown[]): Check {
  return (option, value) => {
    if (!Array.isArray(value)) throw wrongType(option, `an array of ${allowed.map(show).join(', ')}`, value)
    for (const one of value) isOneOf(...allowed)(option, one)
  }
}

const isHttpAuth: Check = (option, value) => {
  if (!Array.isArray(value)) isOneOf(...AUTH_SCHEMES, 'any')(option, value)
  else if (value.length === 0) throw new RangeError(`option ${option} must not be an empty list`)
  else isListOf(...AUTH_SCHEMES)(option, value)
}

const isCookieJar: Check = (option, value) => {
  if (!(value instanceof CookieJar)) throw wrongType(option, 'a CookieJar', value)
}

const isHstsStore: Check = (option, value) => {
  if (!(value instanceof HstsStore)) throw wrongType(option, 'an HstsStore', value)
}

export const HTTP_CHECKS: Readonly<Record<keyof HttpOptions, Check>> = {
  followRedirects: isBoolean,
  maxRedirects: isInteger(0, REDIRECTS_LIMIT),
  postRedirect: isListOf(...POST_REDIRECTS),
  autoReferer: isBoolean,
  redirectProtocols: isListOf(...REDIRECT_PROTOCOLS),
  unrestrictedAuth: isBoolean,
  rewindBody: isFunction,
  username: isSecret,
  password: isSecret,
  httpAuth: isHttpAuth,
  bearerToken: isBearerToken,
  netrc: isOneOf(...NETRC_MODES),
  netrcFile: isText,
  netrcText: (option, value) => {
    if (typeof value !== 'string') throw new TypeError(`option ${option} must be a string`)
  },
  randomBytes: isFunction,
  cookies: isCookieJar,
  cookie: isPlainField,
  hsts: isHstsStore,
  requestTarget: isTargetText,
  pathAsIs: isBoolean,
  userAgent: isPlainField,
  referer: isPlainField,
  defaultProtocol: isOneOf(...REDIRECT_PROTOCOLS),
}

export function httpSettings(options: HttpOptions, url: ParsedUrl): HttpSettings {
  const { username, password } = options
  const given: Credentials | null =
    username === undefined && password === undefined ? null : { username: username ?? '', password: password ?? '' }
  return {
    followRedirects: options.followRedirects ?? false,
    maxRedirects: options.maxRedirects ?? REDIRECTS_MAX,
    postRedirect: options.postRedirect ?? [],
    autoReferer: options.autoReferer ?? false,
    redirectProtocols: options.redirectProtocols ?? REDIRECT_PROTOCOLS,
    unrestrictedAuth: options.unrestrictedAuth ?? false,
    authSchemes: authSchemes(options),
    bearerToken: options.bearerToken ?? null,
    credentials: credentialSource(options, given, url),
    randomBytes: options.randomBytes ?? randomBytes,
    cookies: options.cookies ?? null,
    hsts: options.hsts ?? null,
  }
}

function authSchemes({ httpAuth, bearerToken, username, password }: HttpOptions): readonly AuthScheme[] {
  if (httpAuth === undefined) {
    return bearerToken !== undefined && username === undefined && password === undefined ? ['bearer'] : ['basic']
  }
  if (httpAuth === 'any') return AUTH_SCHEMES
  return typeof httpAuth === 'string' ? [httpAuth] : [...new Set(httpAuth)]
}

function credentialSource(options: HttpOptions, given: Credentials | null, url: ParsedUrl): CredentialSource {
  const netrc = given === null ? readNetrc(options) : null
  try {
    return new CredentialSource(given, url, options.unrestrictedAuth ?? false, netrc, options.netrc === 'required')
  } catch (error) {
    throw new TypeError(`option url: ${(error as Error).message}`)
  }
}

function readNetrc({ netrc = 'ignored', netrcFile, netrcText }: HttpOptions): Netrc | null {
  if (netrc === 'ignored') {
    const unused = netrcFile !== undefined ? 'netrcFile' : netrcText !== undefined ? 'netrcText' : null
    if (unused !== null) throw new TypeError(`option ${unused} needs netrc: 'optional' or 'required'`)
    return null
  }
  if (netrcFile !== undefined && netrcText !== undefined) {
    throw new TypeError('option netrcText must be left out when netrcFile is given')
  }
  try {
    if (netrcText !== undefined) return new Netrc(netrcText)
    return Netrc.read(netrcFile ?? join(homedir(), '.netrc'))
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (isMissing && netrc === 'optional') return null
    const option = netrcText === undefined ? 'netrcFile' : 'netrcText'
    throw new TypeError(`option ${option}: ${(error as Error).message}`, { cause: error })
  }
}
