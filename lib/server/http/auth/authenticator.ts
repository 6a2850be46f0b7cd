/** What Basic and Digest have in common: a verdict on a request, and the challenge that asks for another. */
import type { SocketAddress } from '../../../sys/kernel.ts'
import type { HeaderList, HeaderPairs } from '../../../wire/http1/header-list.ts'

/** What is looked at; an HttpRequest. */
export interface AuthRequest {
  readonly method: string
  readonly url: string
  readonly headers: HeaderList
  readonly peer: SocketAddress | null
}

/** libmicrohttpd's results of Digest, with names; Basic knows 'ok', 'missing', 'wrong-header' and 'wrong-response'. */
export type AuthResult =
  | 'ok'
  /** No credentials of this scheme. */
  | 'missing'
  | 'too-large'
  | 'wrong-header'
  | 'wrong-username'
  | 'wrong-realm'
  | 'wrong-uri'
  | 'wrong-qop'
  | 'wrong-algorithm'
  /** Not one of ours, perhaps of a server before this one. */
  | 'wrong-nonce'
  /** Ours, and used up or too old: the challenge says so, and a client asks again without asking its user. */
  | 'stale-nonce'
  /** Ours, for another realm, target or address. */
  | 'other-nonce'
  /** The password does not fit. */
  | 'wrong-response'

export interface AuthVerdict {
  readonly result: AuthResult
  /** Who it is when the result is 'ok'; else whom the request names, '' when it does not. */
  readonly username: string
}

export interface Authenticator {
  check(request: AuthRequest): AuthVerdict
  /** WWW-Authenticate fields for a 401. */
  challenge(request: AuthRequest, verdict: AuthVerdict): HeaderPairs
}

/** Of credentials; more is refused before it is read. */
export const CREDENTIALS_BYTES_MAX: number = 8 * 1024
