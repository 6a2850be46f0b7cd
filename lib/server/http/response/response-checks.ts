/** What a handler gave back, looked at before it goes to the sender, which checks the fields. */
import { show } from '../../../base/options.ts'
import type { HttpResponse } from './response.ts'

export function isResponse(value: unknown): value is HttpResponse {
  return typeof value === 'object' && value !== null
}

export function notAResponse(value: unknown): TypeError {
  if (isResponse(value)) return new TypeError('the handler returned a response to a request that was answered already')
  return new TypeError(`the handler must return a response, not ${show(value)}`)
}

/** To CONNECT it means that a tunnel begins here. */
export function isSuccess(status = 200): boolean {
  return status >= 200 && status < 300
}

export function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
