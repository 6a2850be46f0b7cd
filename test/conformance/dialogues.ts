/** Paths of the origins' dialogues (test/sim/dialogue.ts), and what they showed. */
import { expect } from 'vitest'
import type { TransferOptions } from '../../lib/index.ts'
import type { ShownRequest } from '../sim/dialogue.ts'
import type { Bench } from './bench.ts'
import type { Fetch } from './fetches.ts'

export const OTHER = 'other.example'

/** A response of 302, or of `fields.status`, that leads to `to`. */
export function lead(to: string, fields: Readonly<Record<string, string | number>> = {}): string {
  const parameters = new URLSearchParams({ to })
  for (const [name, value] of Object.entries(fields)) parameters.set(name, String(value))
  return `/lead?${parameters}`
}

/** The request as the origin got it. */
export function shown(fetch: Fetch): ShownRequest {
  expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
  return JSON.parse(fetch.body.toString()) as ShownRequest
}

/** The URL as it is told back: without a default port. */
export function href(bench: Bench, path: string): string {
  return new URL(bench.url(path)).href
}

/** The same origin by another name: to a client, another origin. */
export function elsewhere(bench: Bench, path: string): string {
  return new URL(path, `http://${OTHER}:${bench.port}`).href
}

/** Follows redirects, and knows where that other origin is. */
export function withOther(bench: Bench, options: TransferOptions): TransferOptions {
  return { followRedirects: true, resolve: [`${OTHER}:${bench.port}:${bench.address}`], ...options }
}
