/**
 * The options of a transfer that say how it speaks HTTP beyond one request: where it may be led, who it is, and what it
 * remembers. Part of TransferOptions.
 */
import type { AuthScheme } from './authentication.ts'
import type { CookieJar } from './cookie-jar.ts'
import type { RandomBytes } from './digest.ts'
import type { HstsStore } from './hsts-store.ts'
import type { PostRedirect } from './redirect.ts'

export interface HttpOptions {
  /**
   * Follow Location of a 3xx response. Default false; `info.redirectUrl` says then where it would lead. The head of
   * each response goes to onHead, the body of one that is followed to nobody. CURLOPT_FOLLOWLOCATION.
   */
  followRedirects?: boolean
  /** More end with TOO_MANY_REDIRECTS. Default 30. CURLOPT_MAXREDIRS. */
  maxRedirects?: number
  /** After these statuses a POST stays one; otherwise it becomes a GET. Default none. CURLOPT_POSTREDIR. */
  postRedirect?: readonly PostRedirect[]
  /** Referer of a redirected request is the URL that led there. CURLOPT_AUTOREFERER. */
  autoReferer?: boolean
  /** Where redirects may lead; elsewhere is UNSUPPORTED_PROTOCOL. Default both. CURLOPT_REDIR_PROTOCOLS_STR. */
  redirectProtocols?: readonly ('http' | 'https')[]
  /**
   * Credentials, and the fields Authorization and Cookie among `headers`, go to whatever origin a redirect leads to.
   * Default false: to the first one only. CURLOPT_UNRESTRICTED_AUTH.
   */
  unrestrictedAuth?: boolean
  /**
   * Puts a body callback back to its beginning, when a redirect or an authentication needs the body again; false says
   * that it cannot. Without it that ends with SEND_FAIL_REWIND. CURLOPT_SEEKFUNCTION.
   */
  rewindBody?: () => boolean | void
  /** Instead of the URL's own. CURLOPT_USERNAME. */
  username?: string
  /** CURLOPT_PASSWORD. */
  password?: string
  /**
   * Which schemes may be used; 'any' is all. One that is 'basic' or 'bearer' is used at once, otherwise the first
   * request goes without and the strongest scheme that the server offers is taken. Default 'basic', or 'bearer' when
   * only bearerToken is given. CURLOPT_HTTPAUTH.
   */
  httpAuth?: AuthScheme | 'any' | readonly AuthScheme[]
  /** CURLOPT_XOAUTH2_BEARER. */
  bearerToken?: string
  /**
   * Names and passwords from a .netrc file: not ('ignored', default), where options and URL give none ('optional'), or
   * instead of what the URL gives ('required'). It is read when the transfer is made. CURLOPT_NETRC.
   */
  netrc?: 'ignored' | 'optional' | 'required'
  /** Default: .netrc in the home directory. CURLOPT_NETRC_FILE. */
  netrcFile?: string
  /** What stands in such a file, instead of a file. */
  netrcText?: string
  /** Random bytes for Digest. Default: the system's; a simulation gives its own. */
  randomBytes?: RandomBytes
  /**
   * Cookies to send and to learn; transfers may share one. Default: none are kept. CURLOPT_COOKIEFILE,
   * CURLOPT_COOKIEJAR, CURLSHOPT_SHARE.
   */
  cookies?: CookieJar
  /** 'name=value; name=value', behind those of `cookies`; for the first origin only. CURLOPT_COOKIE. */
  cookie?: string
  /**
   * Hosts that want TLS: http: and ws: URLs of theirs, redirects' as well, become https: and wss: before anything is
   * opened, and what responses say over TLS with a right certificate is learnt. Transfers may share one. Default: none
   * is known. CURLOPT_HSTS, CURLOPT_HSTS_CTRL.
   */
  hsts?: HstsStore
  /** The request target as it is to be sent, instead of path and query: '*', say. CURLOPT_REQUEST_TARGET. */
  requestTarget?: string
  /** Leave '.' and '..' in the path of `url` alone. Default false. CURLOPT_PATH_AS_IS. */
  pathAsIs?: boolean
  /** Default: none is sent. CURLOPT_USERAGENT. */
  userAgent?: string
  /** CURLOPT_REFERER. */
  referer?: string
  /** Of a `url` without 'scheme://'. Default: such a one is refused. CURLOPT_DEFAULT_PROTOCOL. */
  defaultProtocol?: 'http' | 'https'
}
