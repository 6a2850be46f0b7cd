/** A transfer together with all that its callbacks were told. */
import { expect } from 'vitest'
import {
  type HeaderList,
  type Message,
  type Multi,
  type Progress,
  type ResponseHead,
  Transfer,
  type TransferCodeName,
  type TransferError,
  type TransferOptions,
} from '../../lib/index.ts'
import { originBody } from '../sim/origin.ts'
import type { Bench } from './bench.ts'

export class Fetch {
  readonly transfer: Transfer
  readonly heads: ResponseHead[] = []
  readonly informational: ResponseHead[] = []
  readonly trailers: HeaderList[] = []
  readonly chunks: Uint8Array[] = []
  readonly progress: Progress[] = []
  message: Message | null = null

  /** What the options say is called after the record was made. */
  constructor(options: TransferOptions) {
    this.transfer = new Transfer({
      ...options,
      onHead: (head) => {
        this.heads.push(head)
        options.onHead?.(head)
      },
      onInformational: (head) => {
        this.informational.push(head)
        options.onInformational?.(head)
      },
      onData: (chunk) => {
        this.chunks.push(chunk.slice())
        options.onData?.(chunk)
      },
      onTrailers: (trailers) => {
        this.trailers.push(trailers)
        options.onTrailers?.(trailers)
      },
    })
  }

  get body(): Buffer {
    return Buffer.concat(this.chunks)
  }

  /** 'OK', or why it failed; 'running' before its end. */
  get outcome(): TransferCodeName | 'running' {
    if (this.message === null) return 'running'
    return this.message.error?.code ?? 'OK'
  }

  get error(): TransferError {
    const error = this.message?.error
    if (!error) throw new Error(`the transfer has no error: ${this.outcome}`)
    return error
  }
}

/** Reads every message there is into the fetches it belongs to. */
export function readMessages(multi: Multi, fetches: readonly Fetch[]): Message[] {
  const messages: Message[] = []
  for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
    messages.push(message)
    const found = fetches.find(({ transfer }) => transfer === message?.transfer)
    if (found === undefined) throw new Error('a message for a transfer that nobody knows')
    if (found.message !== null) throw new Error('two messages for one transfer')
    found.message = message
  }
  return messages
}

/** Adds, drives until all have ended, reads the messages, removes. */
export async function fetchAll(bench: Bench, multi: Multi, list: readonly TransferOptions[]): Promise<Fetch[]> {
  const fetches = list.map((options) => new Fetch(options))
  for (const { transfer } of fetches) multi.add(transfer)
  await bench.drive(multi)
  readMessages(multi, fetches)
  for (const { transfer } of fetches) multi.remove(transfer)
  return fetches
}

export async function fetchOne(bench: Bench, multi: Multi, options: TransferOptions): Promise<Fetch> {
  const [fetch] = await fetchAll(bench, multi, [options])
  return fetch as Fetch
}

/** It ended well, with the bytes that the path promises. */
export function expectBody(fetch: Fetch, path: string): void {
  expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
  expect(fetch.body.equals(originBody(path)), `the body of ${path}`).toBe(true)
}
