/** The module of a thread that says hello. */
import { type HttpResponse, prepareResponse } from 'sockmux'

const hello = prepareResponse({ status: 200, headers: { 'content-type': 'text/plain' }, body: 'Hello, world!' })

export function handler(): HttpResponse {
  return hello
}
