/**
 * What one run of a transfer asks for, request after request: it makes the plan of each, is told each response's head,
 * and says whether another request follows: a redirect, or the same with proof of who asks. Only transfers that may
 * need it have one. Never more than maxRedirects redirects, and a few repetitions between two of them.
 */
import type { TransferCodeName } from '../base/errors.ts'
import { absoluteTarget } from '../connection/proxy-route.ts'
import { parseAuthChallenges } from '../wire/auth-challenge.ts'
import type { HeaderList } from '../wire/http1/header-list.ts'
import { type ParsedUrl, securedUrl } from '../wire/url.ts'
import { Authentication } from './authentication.ts'
import type { HttpSettings } from './http-settings.ts'
import { BODY_FIELDS, redirectMethod, redirectTarget, refererOf } from './redirect.ts'
import { type RequestHeadParts, requestHeadText } from './request-head.ts'
import type { RequestPlan } from './request-plan.ts'
import { forwarderOf, forwardingOf, type Route, type Router } from './route.ts'
import type { TransferInfo } from './transfer-info.ts'

export interface FollowUpFailure {
  readonly code: TransferCodeName
  readonly message: string
}

/** What is the same for all requests of a transfer, or where they begin. */
export interface FollowUpSettings {
  readonly http: HttpSettings
  readonly plan: RequestPlan
  readonly parts: RequestHeadParts
  readonly router: Pick<Router, 'routeTo'>
  readonly poolKeyOf: (url: ParsedUrl, route: Route) => string
}

/** Fields of the user's that are for the first origin only. */
const PRIVATE_FIELDS: ReadonlySet<string> = new Set(['authorization', 'cookie'])

export class FollowUp {
  /** Why the transfer ends here, though a response came. */
  failure: FollowUpFailure | null = null
  readonly #settings: FollowUpSettings
  readonly #info: TransferInfo
  readonly #firstOrigin: string
  #parts: RequestHeadParts
  #plan: RequestPlan
  #authentication: Authentication
  /** For a proxy that forwards requests and is not content with Basic. */
  readonly #proxyAuthentication: Authentication | null
  /** The plan of the request that follows is wanted. */
  #follows = false

  constructor(settings: FollowUpSettings, info: TransferInfo) {
    this.#settings = settings
    this.#info = info
    const { http, parts, plan } = settings
    const url = this.#secured(parts.url)
    this.#parts = url === parts.url ? parts : { ...parts, url }
    this.#firstOrigin = url.origin
    this.#authentication = authenticationFor(http, this.#parts, true, true)
    this.#proxyAuthentication = proxyAuthenticationFor(settings)
    this.#plan = http.cookies === null && url === parts.url ? plan : this.#newPlan(plan.body)
    info.effectiveUrl = url.href
  }

  get plan(): RequestPlan {
    return this.#plan
  }

  /** A final head came. True: its body is of no interest, since another request follows, or the transfer fails. */
  judge(status: number, headers: HeaderList): boolean {
    const { cookies, hsts } = this.#settings.http
    if (cookies !== null) cookies.learn(headers.getAll('set-cookie'), this.#plan.url.href)
    // The first field counts (RFC 6797 §8.1).
    const transport = hsts === null ? undefined : headers.first('strict-transport-security')
    if (transport !== undefined && isVerified(this.#plan)) hsts?.learn(this.#plan.url.host, transport)
    if (status === 401) this.#follows = this.#authentication.answer(challengesOf(headers, 'www-authenticate'))
    else if (status === 407) this.#follows = this.#answerProxy(headers)
    else {
      this.#authentication.accepted()
      this.#proxyAuthentication?.accepted()
      this.#follows = this.#redirect(status, headers)
    }
    return this.#follows || this.failure !== null
  }

  /** What came is of no interest: another request is to be sent. */
  get follows(): boolean {
    return this.#follows
  }

  /** After an exchange: the next request, null when that was all. */
  next(): RequestPlan | null {
    if (!this.#follows) return null
    this.#follows = false
    this.#plan = this.#newPlan(this.#parts.hasBody ? this.#settings.plan.body : null)
    return this.#plan
  }

  /** What could not be answered in the last challenge; ''. */
  get problem(): string {
    return this.#authentication.problem
  }

  /** A redirect may lead over another proxy, which is not told what the first one is. */
  #authenticationOf(route: Route): Authentication | null {
    const isFirst = forwarderOf(route)?.key === forwarderOf(this.#settings.plan.route)?.key
    return isFirst ? this.#proxyAuthentication : null
  }

  #answerProxy(headers: HeaderList): boolean {
    const authentication = this.#authenticationOf(this.#plan.route)
    return authentication?.answer(challengesOf(headers, 'proxy-authenticate')) ?? false
  }

  #redirect(status: number, headers: HeaderList): boolean {
    const { http } = this.#settings
    const from = this.#plan.url
    let target: ParsedUrl | null
    try {
      target = redirectTarget(status, headers, from)
    } catch (error) {
      if (http.followRedirects) this.#fail('URL_MALFORMAT', `redirect to an unusable URL: ${(error as Error).message}`)
      return false
    }
    this.#info.redirectUrl = target?.href ?? null
    if (!http.followRedirects || target === null) return false
    target = this.#secured(target)
    if (!http.redirectProtocols.includes(target.scheme)) {
      return this.#fail('UNSUPPORTED_PROTOCOL', `redirect to protocol '${target.scheme}', which is not allowed`)
    }
    if (this.#info.redirectCount >= http.maxRedirects) {
      return this.#fail('TOO_MANY_REDIRECTS', `more than ${http.maxRedirects} redirects`)
    }
    this.#info.redirectCount++
    return this.#goTo(target, redirectMethod(status, this.#parts.method, http.postRedirect))
  }

  #goTo(url: ParsedUrl, method: string): boolean {
    const { http } = this.#settings
    const from = this.#plan.url
    const losesBody = method !== this.#parts.method
    const headers = this.#parts.headers.filter(([name]) => !(losesBody && BODY_FIELDS.has(name.toLowerCase())))
    this.#parts = {
      ...this.#parts,
      url,
      method,
      headers,
      target: null,
      hasBody: this.#parts.hasBody && !losesBody,
      bodyLength: losesBody ? 0 : this.#parts.bodyLength,
      referer: http.autoReferer ? refererOf(from, url) : this.#parts.referer,
    }
    if (url.origin === from.origin && url.username === '' && url.password === '') return true
    try {
      this.#authentication = authenticationFor(http, this.#sentParts(), this.#isTrusted(), this.#isFirstOrigin())
    } catch (error) {
      return this.#fail('URL_MALFORMAT', `redirect to an unusable URL: ${(error as Error).message}`)
    }
    return true
  }

  #newPlan(body: RequestPlan['body']): RequestPlan {
    const { http, router, poolKeyOf } = this.#settings
    const { url, method, bodyLength, target } = this.#parts
    const sent = this.#sentParts()
    const kept = http.cookies?.get(url.href) ?? ''
    const authorization = this.#authentication.authorization(method, target ?? url.target)
    const authUsed = authorization === null ? '' : this.#authentication.used
    const cookie = kept === '' || sent.cookie === null ? kept || sent.cookie : `${kept}; ${sent.cookie}`
    const route = router.routeTo(url)
    const proof = this.#authenticationOf(route)?.authorization(method, absoluteTarget(url)) ?? null
    const head = requestHeadText({ ...sent, authorization, cookie, forwarding: forwardingOf(route, url, proof) })
    return { url, method, head, body, bodyLength, route, poolKey: poolKeyOf(url, route), authUsed }
  }

  #isTrusted(): boolean {
    return this.#isFirstOrigin() || this.#settings.http.unrestrictedAuth
  }

  #isFirstOrigin(): boolean {
    return this.#parts.url.origin === this.#firstOrigin
  }

  /** Over TLS where the host is known to want it. */
  #secured(url: ParsedUrl): ParsedUrl {
    return this.#settings.http.hsts?.has(url.host) ? securedUrl(url) : url
  }

  /** Without what is not for this origin. */
  #sentParts(): RequestHeadParts {
    if (this.#isFirstOrigin()) return this.#parts
    const isTrusted = this.#isTrusted()
    const headers = this.#parts.headers.filter(([name]) => {
      const lower = name.toLowerCase()
      // Host names the first origin, whatever else may be told to others.
      return lower !== 'host' && (isTrusted || !PRIVATE_FIELDS.has(lower))
    })
    return { ...this.#parts, headers, cookie: isTrusted ? this.#parts.cookie : null }
  }

  #fail(code: TransferCodeName, message: string): false {
    this.failure = { code, message }
    return false
  }
}

/** Whether a transfer may need more than the request that it begins with, or one made when it begins. */
export function needsFollowUp({ http, parts }: Pick<FollowUpSettings, 'http' | 'parts'>, route: Route): boolean {
  const { followRedirects, cookies, hsts } = http
  if (followRedirects || cookies !== null || hsts !== null || (forwarderOf(route)?.username ?? '') !== '') return true
  const isAtOnce = http.authSchemes.length === 1 && http.authSchemes[0] !== 'digest'
  const mayProve = http.bearerToken !== null || http.credentials.find(parts.url) !== null
  return mayProve && !isAtOnce && !hasOwnAuthorization(parts.headers)
}

/**
 * The head of the first request, with proof of who asks when that needs no challenge; nothing is learnt from cookies.
 */
export function firstHead(http: HttpSettings, parts: RequestHeadParts): Pick<RequestPlan, 'head' | 'authUsed'> {
  const authentication = authenticationFor(http, parts, true, true)
  const authorization = authentication.authorization(parts.method, parts.target ?? parts.url.target)
  const head = requestHeadText(authorization === null ? parts : { ...parts, authorization })
  return { head, authUsed: authentication.used }
}

type Headers = RequestHeadParts['headers']

/** Throws an Error when the URL's own credentials cannot be used. */
function authenticationFor(
  http: HttpSettings,
  { url, headers }: RequestHeadParts,
  isTrusted: boolean,
  isFirst: boolean,
): Authentication {
  const credentials = http.credentials.find(url, isFirst)
  const schemes = hasOwnAuthorization(headers) ? [] : http.authSchemes
  return new Authentication(schemes, credentials, isTrusted ? http.bearerToken : null, http.randomBytes)
}

function proxyAuthenticationFor({ http, plan }: FollowUpSettings): Authentication | null {
  const proxy = forwarderOf(plan.route)
  return proxy === null || proxy.username === '' ? null : new Authentication(['digest'], proxy, null, http.randomBytes)
}

/** Whether it was the host itself that answered, by its certificate. */
function isVerified({ route: { tls }, url }: RequestPlan): boolean {
  if (tls === null || !tls.context.verifyPeer || !tls.verifyHost) return false
  return tls.serverName === null || tls.serverName === url.host
}

/** What the user says himself stands. */
function hasOwnAuthorization(headers: Headers): boolean {
  return headers.some(([name]) => name.toLowerCase() === 'authorization')
}

function challengesOf(headers: HeaderList, field: string): ReturnType<typeof parseAuthChallenges> {
  return parseAuthChallenges(headers.getAll(field))
}
