/**
 * One call for one response: a Transfer on a Multi that Node's loop drives, behind a promise. It is fulfilled with the
 * head of the response while the body may still be coming, and rejected with a TransferError, the reason of a signal,
 * or a TypeError or RangeError for wrong options. No promise is settled while the engine is on the stack.
 */
import { Delivery } from './delivery.ts'
import { prepareRequest, type RequestOptions } from './request-options.ts'
import type { Response } from './response.ts'
import { sharedMulti } from './shared-multi.ts'

const NO_OPTIONS: RequestOptions = {}

export function request(url: string | URL, options: RequestOptions = NO_OPTIONS): Promise<Response> {
  // What is thrown in here rejects the promise.
  return new Promise((resolve, reject) => {
    const prepared = prepareRequest(url, options)
    const { signal = null, multi = sharedMulti() } = options
    const delivery = new Delivery(multi, prepared, resolve, reject)
    if (signal?.aborted) reject(signal.reason)
    else delivery.start(signal)
  })
}
