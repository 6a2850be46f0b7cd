/**
 * One call for one response: a Transfer on a Multi that Node's loop drives, behind a promise. It is fulfilled with the
 * head of the response while the body may still be coming, and rejected with a TransferError, the reason of a signal,
 * or a TypeError or RangeError for wrong options. No promise is settled while the engine is on the stack.
 */
import { type Answer, Delivery } from './delivery.ts'
import { recall, remember } from './request-memory.ts'
import { checkCall, type PreparedRequest, prepareRequest, type RequestOptions } from './request-options.ts'
import { Response } from './response.ts'
import { sharedMulti } from './shared-multi.ts'

const NO_OPTIONS: RequestOptions = {}

export function request(url: string | URL, options: RequestOptions = NO_OPTIONS): Promise<Response> {
  // What is thrown in here rejects the promise.
  return new Promise((resolve, reject) => {
    checkCall(options)
    const prepared = prepare(url, options)
    const { signal = null, multi = sharedMulti() } = options
    const answer: Answer = (delivery, head) => resolve(new Response(delivery, head))
    const delivery = new Delivery(multi, prepared, answer, reject)
    if (signal?.aborted) reject(signal.reason)
    else delivery.start(signal)
  })
}

function prepare(url: string | URL, options: RequestOptions): PreparedRequest {
  if (typeof url !== 'string') return prepareRequest(url, options)
  const known = recall(url, options)
  if (known !== null) return known
  const prepared = prepareRequest(url, options)
  remember(url, options, prepared)
  return prepared
}
