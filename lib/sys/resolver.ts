/**
 * Name lookup as a contract. A resolver announces answers through one descriptor, so that any loop can drive it: when
 * `fd` is readable, `collect` hands out what has arrived. Nothing is delivered outside `collect`.
 */
import type { Family, SocketAddress } from './kernel.ts'

export interface ResolverAnswer {
  /** Addresses in the order the system prefers (RFC 6724); port is 0. Empty when `error` is set. */
  readonly addresses: readonly SocketAddress[]
  /** null, or getaddrinfo's error as a name: 'ENOTFOUND', 'EAI_AGAIN', … */
  readonly error: string | null
}

export interface Resolver {
  /** Readable when answers wait. Valid from construction until close; owned by the resolver. */
  readonly fd: number
  /** Starts a lookup. `family` null asks for both. Returns a query id > 0, or -errno. */
  lookup(hostname: string, family: typeof Family.IPV4 | typeof Family.IPV6 | null): number
  /** The answer of that query is never delivered; a running getaddrinfo is orphaned, never waited for. */
  cancel(query: number): void
  /** Delivers waiting answers; returns how many. */
  collect(deliver: (query: number, answer: ResolverAnswer) => void): number
  close(): void
}
