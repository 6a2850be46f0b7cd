/**
 * Where a body goes. `size` bytes of it are there; a download may go on behind them, or `restart` throws them away.
 * Whatever the system refuses is thrown as a DownloadError WRITE_ERROR.
 */

export interface BodySink {
  /** For people and for the report; null when it is no file. */
  readonly path: string | null
  readonly size: number
  /** Of the bytes that are there: what was changed after that is another body. Null: not known. */
  readonly changedAt: Date | null
  /** Can go back to nothing. */
  readonly canRestart: boolean
  /** Looks whether the target may be written; opens and changes nothing. */
  prepare(): void
  /** Borrowed bytes. False: takes more, but later would be better; `onDrain` is called then. */
  write(chunk: Uint8Array): boolean
  restart(): void
  /** When the server changed it last. */
  note(changedAt: Date): void
  /** The body is whole. */
  complete(): void
  /** It is not; what is there stays. Idempotent. */
  close(): void
}

/** A response without a body worth keeping, as that to HEAD. */
export class NoSink implements BodySink {
  readonly path = null
  readonly size = 0
  readonly changedAt = null
  readonly canRestart = true
  prepare(): void {}
  write(): boolean {
    return true
  }
  restart(): void {}
  note(): void {}
  complete(): void {}
  close(): void {}
}
