/**
 * One URL on its way into one sink, through as many attempts as it takes: a fresh Transfer for each, which goes on
 * behind what is there where the request allows that. It knows no Multi; its queue adds the transfers and says how they
 * ended.
 */
import { type ResponseHead, Transfer, type TransferError, type TransferInfo, type TransferOptions } from '../index.ts'
import type { BodySink } from './body-sink.ts'
import { DownloadError, downloadError } from './download-error.ts'
import type { GetSettings } from './get-settings.ts'
import { readRetryAfter, retryDelayMs } from './retry-policy.ts'

const PARTIAL_CONTENT = 206
const PRECONDITION_FAILED = 412
const RANGE_NOT_SATISFIABLE = 416

export type DownloadState = 'waiting' | 'running' | 'done' | 'failed'

/** What to do after an attempt: nothing, or another one after so many ms. */
export type Verdict = { readonly ended: true } | { readonly ended: false; readonly delayMs: number }

export type DebugFunction = NonNullable<TransferOptions['onDebug']>

const ENDED: Verdict = { ended: true }

export class Download {
  readonly url: string
  /** For the limit of connections to one host. */
  readonly origin: string
  readonly sink: BodySink
  state: DownloadState = 'waiting'
  error: DownloadError | null = null
  /** The last attempt; null before. */
  transfer: Transfer | null = null
  attempts = 0
  /** Bytes that were there when it began. */
  resumedFrom = 0
  /** Of the whole body; -1 while nobody has said. */
  expectedSize = -1
  readonly #settings: GetSettings
  readonly #onDebug: DebugFunction | null
  #retries = 0
  #from = 0
  #retryAfterMs = 0
  /** What a 416 said about the length of the body; -1 when nothing. */
  #completeLength = -1

  constructor(url: string, origin: string, sink: BodySink, settings: GetSettings, onDebug: DebugFunction | null) {
    this.url = url
    this.origin = origin
    this.sink = sink
    this.#settings = settings
    this.#onDebug = onDebug
  }

  get info(): TransferInfo | null {
    return this.transfer?.info ?? null
  }

  /** Throws DownloadError when the sink or the URL does not allow it. */
  begin(): Transfer {
    if (this.attempts === 0) {
      this.sink.prepare()
      this.resumedFrom = this.sink.size
    }
    this.attempts++
    this.state = 'running'
    this.#retryAfterMs = 0
    this.#completeLength = -1
    this.#from = this.sink.size
    const { transfer } = this.#settings
    this.transfer = new Transfer({
      ...transfer,
      ...this.#resumption(),
      url: this.url,
      onHead: (head) => this.#onHead(head),
      onData: (chunk) => this.#onData(chunk),
      ...(this.#onDebug === null ? {} : { onDebug: this.#onDebug }),
    })
    return this.transfer
  }

  /** After the attempt's message. */
  end(transferError: TransferError | null): Verdict {
    const status = this.info?.status ?? 0
    const error = transferError === null ? null : downloadError(transferError)
    if (this.#from > 0 && this.#mustRestart(error, status)) return this.#restart()
    if (error !== null) return this.#judge(error, status)
    try {
      this.sink.complete()
    } catch (failure) {
      return this.fail(failure as DownloadError)
    }
    this.state = 'done'
    return ENDED
  }

  fail(error: DownloadError): Verdict {
    this.state = 'failed'
    this.error = error
    this.stop()
    return ENDED
  }

  /** Keeps what is there. */
  stop(): void {
    try {
      this.sink.close()
    } catch (error) {
      this.error ??= error as DownloadError
    }
  }

  #resumption(): Partial<TransferOptions> {
    if (this.#from === 0) return {}
    // An error's body must not be appended, whatever else is wanted of it.
    const options = { resumeFrom: this.#from, failOnError: true }
    const { changedAt } = this.sink
    return changedAt === null ? options : { ...options, ifUnmodifiedSince: changedAt }
  }

  #onHead({ status, headers }: ResponseHead): void {
    const info = this.info as TransferInfo
    this.#retryAfterMs = readRetryAfter(headers.first('retry-after'), Date.now())
    this.#completeLength = Number(/^\s*bytes\s+\*\/(\d+)\s*$/i.exec(headers.first('content-range') ?? '')?.[1] ?? -1)
    const leadsAway = status >= 300 && status < 400 && info.redirectUrl !== null
    if (leadsAway && !this.#settings.transfer.followRedirects && this.#fails()) {
      throw new DownloadError('HTTP_RETURNED_ERROR', `status ${status} leads elsewhere; --location follows it`)
    }
    if (status < 200 || status >= 300) return
    const changedAt = Date.parse(headers.first('last-modified') ?? '')
    if (!Number.isNaN(changedAt)) this.sink.note(new Date(changedAt))
    if (info.contentLength >= 0 && !this.#isEncoded(headers.first('content-encoding'))) {
      this.expectedSize = info.contentLength + (status === PARTIAL_CONTENT ? this.#from : 0)
    }
  }

  #onData(chunk: Uint8Array): void {
    const transfer = this.transfer as Transfer
    if (this.#from > 0 && transfer.info.status !== PARTIAL_CONTENT) {
      throw new DownloadError('RANGE_ERROR', `the server answered with status ${transfer.info.status} to a resumption`)
    }
    if (!this.sink.write(chunk)) transfer.pause('receive')
  }

  #fails(): boolean {
    return this.#settings.transfer.failOnError !== false || this.#from > 0
  }

  /** What is stored is longer than what is announced. */
  #isEncoded(coding: string | undefined): boolean {
    return this.#settings.transfer.acceptEncoding !== undefined && coding !== undefined
  }

  /** The server cannot go on from there, or what is there belongs to another body. */
  #mustRestart(error: DownloadError | null, status: number): boolean {
    if (status === RANGE_NOT_SATISFIABLE) return this.#completeLength !== this.#from
    return error?.code === 'RANGE_ERROR' || (error !== null && status === PRECONDITION_FAILED)
  }

  #restart(): Verdict {
    if (!this.sink.canRestart) {
      const { path } = this.sink
      const advice = path === null ? '' : '; --force starts over'
      return this.fail(new DownloadError('RANGE_ERROR', `the server does not go on from byte ${this.#from}${advice}`))
    }
    this.sink.restart()
    this.resumedFrom = 0
    this.expectedSize = -1
    return { ended: false, delayMs: 0 }
  }

  #judge(error: DownloadError, status: number): Verdict {
    const { retries, retryDelayMs: firstDelayMs } = this.#settings
    if (this.#retries >= retries || !this.#isRepeatable()) return this.fail(error)
    this.#retries++
    const delayMs = retryDelayMs(error, status, this.#retries, firstDelayMs, this.#retryAfterMs)
    if (delayMs < 0) return this.fail(error)
    this.error = error
    this.state = 'waiting'
    this.stop()
    if (!this.#isResumable() && this.sink.size > 0) this.sink.restart()
    return { ended: false, delayMs }
  }

  #isRepeatable(): boolean {
    return this.sink.canRestart || this.#isResumable()
  }

  /** Bytes on the wire are bytes in the sink, and asking again asks for the same. */
  #isResumable(): boolean {
    const { method = 'GET', body, acceptEncoding, headers } = this.#settings.transfer
    const hasRange = Object.keys(headers ?? {}).some((name) => name.toLowerCase() === 'range')
    return method === 'GET' && body === undefined && acceptEncoding === undefined && !hasRange
  }
}
