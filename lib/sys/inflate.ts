/**
 * Decompression as a contract: streams that undo one format, synchronously, as much as is there. A stream keeps nothing
 * of what it is given between two calls. Numbers are the addon's.
 */

export const InflateFormat = {
  GZIP: 1,
  ZLIB: 2,
  /** Deflate without a wrapper. */
  RAW: 3,
  BROTLI: 4,
  /** One frame. */
  ZSTD: 5,
} as const
export type InflateFormat = (typeof InflateFormat)[keyof typeof InflateFormat]

export const InflateStatus = {
  /** All input was used; the stream goes on. */
  NEEDS_INPUT: 0,
  /** There may be more output for the same input. */
  OUTPUT_FULL: 1,
  /** The stream is complete; what is left of the input is not part of it. */
  END: 2,
  INVALID: -1,
  NO_MEMORY: -2,
} as const
export type InflateStatus = (typeof InflateStatus)[keyof typeof InflateStatus]

export interface InflateStream {
  /** By the last `run`: bytes of the input used, bytes of the output made. */
  readonly used: number
  readonly made: number
  run(input: Uint8Array, start: number, end: number, output: Uint8Array): InflateStatus
  /** Another stream of the same format follows. False when there is no memory. */
  reset(): boolean
  /** Idempotent. */
  close(): void
}

export interface InflateProvider {
  /** Formats that can be undone here. */
  knows(format: InflateFormat): boolean
  /** null when there is no memory. Whoever opens it closes it. */
  open(format: InflateFormat): InflateStream | null
}
