/**
 * One request of a transfer, ready to be sent: where to, over which connections, and what. A transfer begins with the
 * one that its options describe.
 */
import type { ParsedUrl } from '../wire/url.ts'
import type { AuthScheme } from './authentication.ts'
import type { BodyFunction } from './body-function.ts'
import type { Route } from './route.ts'

export interface RequestPlan {
  readonly url: ParsedUrl
  readonly method: string
  /** The request's head as Latin-1 text. */
  readonly head: string
  readonly body: Uint8Array | BodyFunction | null
  /** -1 when it is not known. */
  readonly bodyLength: number
  readonly route: Route
  /** Connections that it may share with others. */
  readonly poolKey: string
  /** How the head proves who asks. */
  readonly authUsed: AuthScheme | ''
}
