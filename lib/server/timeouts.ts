/**
 * The deadlines of a server's connections, each of its own phase, so that a peer that sends a byte now and then does
 * not live for ever. 0: none. Those of requests mean something to an HTTP server only.
 */
import { checkOptions, isDuration } from '../base/options.ts'

export interface Timeouts {
  /** The PROXY header, from the accept on. */
  readonly proxyHeaderMs: number
  /** TLS, from its begin on. */
  readonly handshakeMs: number
  /** The first byte of the first request. */
  readonly firstByteMs: number
  /** The head of a request, from its first byte on. */
  readonly headersMs: number
  /** A whole request, from its first byte on. */
  readonly requestMs: number
  /** The program has not begun to answer a request, from its head on. */
  readonly handlerMs: number
  /** Nothing moves in either direction. */
  readonly idleMs: number
  /** Between two requests. */
  readonly keepAliveMs: number
  /** The peer takes nothing of what is to be sent. */
  readonly writeStallMs: number
  /** After our last byte the peer's are read out for so long. */
  readonly lingerMs: number
}

export const TIMEOUT_DEFAULTS: Timeouts = {
  proxyHeaderMs: 5_000,
  handshakeMs: 10_000,
  firstByteMs: 30_000,
  headersMs: 20_000,
  requestMs: 300_000,
  handlerMs: 0,
  idleMs: 60_000,
  keepAliveMs: 75_000,
  writeStallMs: 30_000,
  lingerMs: 5_000,
}

const CHECKS = Object.fromEntries(Object.keys(TIMEOUT_DEFAULTS).map((name) => [name, isDuration]))

/** Throws TypeError or RangeError naming the timeout; the rest as by default. */
export function timeoutSettings(option: string, value: unknown): Timeouts {
  if (value === undefined) return TIMEOUT_DEFAULTS
  checkOptions(`option ${option}`, value, CHECKS)
  const settings: Record<string, number> = { ...TIMEOUT_DEFAULTS }
  for (const [name, milliseconds] of Object.entries(value as Partial<Timeouts>)) {
    if (milliseconds !== undefined) settings[name] = milliseconds
  }
  return settings as unknown as Timeouts
}
