/** A body on stdout: at the pace of its reader, and never back. */
import type { BodySink } from './body-sink.ts'
import { type DownloadError, writeError } from './download-error.ts'

export class StdoutSink implements BodySink {
  readonly path = null
  size = 0
  changedAt: Date | null = null
  readonly #onDrain: () => void
  readonly #onError: (error: Error) => void

  constructor(onDrain: () => void, onFailure: (error: DownloadError) => void) {
    this.#onDrain = onDrain
    this.#onError = (error) => onFailure(writeError('stdout', error))
  }

  get canRestart(): boolean {
    return this.size === 0
  }

  prepare(): void {
    process.stdout.on('drain', this.#onDrain)
    process.stdout.on('error', this.#onError)
  }

  write(chunk: Uint8Array): boolean {
    this.size += chunk.length
    return process.stdout.write(chunk.slice())
  }

  restart(): void {}

  note(changedAt: Date): void {
    this.changedAt = changedAt
  }

  complete(): void {}

  /** Another attempt may go on; what stdout says late is heard all the same. */
  close(): void {}
}
