/**
 * One response body that is more than its bytes: decoded, or limited. Takes bytes as they arrive and tells the user
 * what they mean. When a callback pauses, or the budget of a run is used up, the rest that is not decoded yet is kept,
 * and `goOn` continues with it.
 */
import { Facility, type Host } from '../multi/host.ts'
import { defaults } from '../sys/defaults.ts'
import type { HeaderList } from '../wire/http1/header-list.ts'
import type { ResponseRules } from './body-settings.ts'
import { CODINGS_MAX, codingsOf } from './content-coding.ts'
import { ContentDecoder, DecodeStatus } from './content-decoder.ts'
import type { Flow } from './flow.ts'
import type { Fault } from './head-verdict.ts'
import type { Principal, TransferCallbacks } from './principal.ts'
import type { TransferInfo } from './transfer-info.ts'

/** What decoders write into and callbacks are lent; one per Multi, since callbacks come one after the other. */
const OUTPUT_BYTES = 64 * 1024
const output: Facility<Uint8Array> = new Facility<Uint8Array>(() => new Uint8Array(OUTPUT_BYTES))
/** Pieces told in one run: a megabyte, so that a body which grows when decoded does not starve the other machines. */
const PIECES_PER_RUN = 16
/** Growth is judged from here on. */
const EXPANSION_FREE_BYTES = 16 * 1024 * 1024

export const BodyStatus = {
  /** All that came was told. */
  DONE: 0,
  /** Paused, or the budget is used up (`yielded`): `goOn` later. */
  STOPPED: 1,
  /** See `fault`. */
  FAILED: 2,
} as const
export type BodyStatus = (typeof BodyStatus)[keyof typeof BodyStatus]

export class ResponseBody {
  fault: Fault | null = null
  /** After STOPPED: only the budget was used up. */
  yielded = false
  readonly #rules: ResponseRules
  readonly #info: TransferInfo
  readonly #flow: Flow
  readonly #callbacks: TransferCallbacks
  #decoder: ContentDecoder | null = null

  constructor(host: Host, rules: ResponseRules, headers: HeaderList, { info, flow, callbacks }: Principal) {
    this.#rules = rules
    this.#info = info
    this.#flow = flow
    this.#callbacks = callbacks
    if (rules.decodes) this.#decoder = this.#openDecoder(host, headers.getAll('content-encoding'))
  }

  /** The bytes are not needed after DONE and STOPPED. `info` has counted them already. */
  accept(bytes: Uint8Array, start: number, end: number): BodyStatus {
    if (this.fault !== null) return BodyStatus.FAILED
    if (this.#info.bytesReceived > this.#rules.maxFileSize) return this.#failSize()
    if (this.#decoder === null) {
      this.#info.bytesDelivered += end - start
      this.#callbacks.onData?.(bytes.subarray(start, end))
      return BodyStatus.DONE
    }
    this.#decoder.receive(bytes, start, end)
    return this.goOn()
  }

  goOn(): BodyStatus {
    const decoder = this.#decoder
    this.yielded = false
    if (decoder === null) return BodyStatus.DONE
    for (let pieces = 0; pieces < PIECES_PER_RUN; pieces++) {
      const status = decoder.next()
      if (status === DecodeStatus.NEED_MORE) return BodyStatus.DONE
      if (status === DecodeStatus.INVALID)
        return this.#fail('BAD_CONTENT_ENCODING', 'the body is not what its coding says')
      if (status === DecodeStatus.NO_MEMORY) return this.#fail('OUT_OF_MEMORY', 'no memory to decode the body')
      this.#info.bytesDelivered += decoder.made
      if (this.#isTooLarge()) return BodyStatus.FAILED
      this.#callbacks.onData?.(decoder.output.subarray(0, decoder.made))
      if (this.#flow.receivePaused) {
        decoder.hold()
        return BodyStatus.STOPPED
      }
    }
    decoder.hold()
    this.yielded = true
    return BodyStatus.STOPPED
  }

  /** The last byte was accepted. A body without a byte needs no end of its codings. */
  finish(): BodyStatus {
    if (this.fault !== null) return BodyStatus.FAILED
    if (!this.#decoder?.isCutOff) return BodyStatus.DONE
    return this.#fail('BAD_CONTENT_ENCODING', 'the encoded body is cut off')
  }

  close(): void {
    this.#decoder?.close()
    this.#decoder = null
  }

  #openDecoder(host: Host, values: readonly string[]): ContentDecoder | null {
    if (values.length === 0) return null
    const provider = defaults.inflateProvider
    const codings = codingsOf(values, provider)
    if (typeof codings === 'string') {
      this.#fail('BAD_CONTENT_ENCODING', `content coding '${codings}' cannot be undone`)
      return null
    }
    if (codings.length > CODINGS_MAX) {
      this.#fail('BAD_CONTENT_ENCODING', `more than ${CODINGS_MAX} content codings`)
      return null
    }
    return codings.length === 0 ? null : new ContentDecoder(provider, codings, host.facility(output))
  }

  #isTooLarge(): boolean {
    const { maxDecodedBytes, maxExpansion, maxFileSize } = this.#rules
    const { bytesDelivered, bytesReceived } = this.#info
    if (bytesDelivered > maxFileSize) this.#failSize()
    else if (bytesDelivered > maxDecodedBytes) {
      this.#fail('TOO_LARGE', `the decoded body has more than maxDecodedBytes ${maxDecodedBytes}`)
    } else if (bytesDelivered > EXPANSION_FREE_BYTES && bytesDelivered > maxExpansion * bytesReceived) {
      this.#fail('TOO_LARGE', `the decoded body is more than maxExpansion ${maxExpansion} times as long as it came`)
    }
    return this.fault !== null
  }

  #failSize(): BodyStatus {
    return this.#fail('FILESIZE_EXCEEDED', `the body has more bytes than maxFileSize ${this.#rules.maxFileSize}`)
  }

  #fail(code: Fault['code'], message: string): BodyStatus {
    this.fault = { code, message }
    return BodyStatus.FAILED
  }
}
