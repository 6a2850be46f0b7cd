/**
 * Runs transfers to their end on one loop and keeps all that a test may want to know of each: the completion, the
 * heads, how many bytes and their SHA-256. Bodies themselves are kept up to a bound.
 */
import { createHash } from 'node:crypto'
import { type Message, type Multi, type ResponseHead, Transfer, type TransferOptions } from '../../lib/index.ts'
import type { HeaderList } from '../../lib/wire/http1/header-list.ts'
import type { DriveOptions, Driver } from './drivers.ts'

const KEPT_BYTES_MAX = 64 * 1024

export interface Outcome {
  readonly transfer: Transfer
  /** curl's name of the result, 'OK' included. */
  readonly code: string
  readonly message: Message | null
  readonly head: ResponseHead | null
  readonly informational: readonly ResponseHead[]
  readonly trailers: HeaderList | null
  readonly bytes: number
  readonly sha256: string
  /** Of the body, the beginning. */
  readonly text: string
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export class Recording {
  readonly transfer: Transfer
  message: Message | null = null
  head: ResponseHead | null = null
  readonly informational: ResponseHead[] = []
  trailers: HeaderList | null = null
  bytes = 0
  readonly #hash = createHash('sha256')
  #kept = Buffer.alloc(0)

  constructor(options: TransferOptions) {
    this.transfer = new Transfer({
      ...options,
      onHead: (head) => {
        this.head = head
        options.onHead?.(head)
      },
      onInformational: (head) => {
        this.informational.push(head)
        options.onInformational?.(head)
      },
      onTrailers: (trailers) => {
        this.trailers = trailers
        options.onTrailers?.(trailers)
      },
      onData: (chunk) => {
        this.#keep(chunk)
        options.onData?.(chunk)
      },
    })
  }

  outcome(): Outcome {
    const { transfer, message, head, informational, trailers, bytes } = this
    const code = message === null ? 'none' : (message.error?.code ?? 'OK')
    const digest = this.#hash.copy().digest('hex')
    return {
      transfer,
      code,
      message,
      head,
      informational,
      trailers,
      bytes,
      sha256: digest,
      text: this.#kept.toString('latin1'),
    }
  }

  #keep(chunk: Uint8Array): void {
    this.bytes += chunk.length
    this.#hash.update(chunk)
    const room = KEPT_BYTES_MAX - this.#kept.length
    if (room > 0) this.#kept = Buffer.concat([this.#kept, chunk.subarray(0, room)])
  }
}

/** Adds them all, runs until none is left, removes them; outcomes stand in the order of the options. */
export async function runTransfers(
  driver: Driver,
  multi: Multi,
  options: readonly TransferOptions[],
  driveOptions: DriveOptions = {},
): Promise<Outcome[]> {
  const recordings = options.map((one) => new Recording(one))
  const byTransfer = new Map(recordings.map((recording) => [recording.transfer, recording]))
  for (const { transfer } of recordings) multi.add(transfer)
  await driver.drive(multi, driveOptions)
  for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
    const recording = byTransfer.get(message.transfer)
    if (recording !== undefined) recording.message = message
  }
  for (const { transfer } of recordings) multi.remove(transfer)
  return recordings.map((recording) => recording.outcome())
}

export async function runTransfer(
  driver: Driver,
  multi: Multi,
  options: TransferOptions,
  driveOptions: DriveOptions = {},
): Promise<Outcome> {
  const [outcome] = await runTransfers(driver, multi, [options], driveOptions)
  if (outcome === undefined) throw new Error('one transfer gives one outcome')
  return outcome
}
