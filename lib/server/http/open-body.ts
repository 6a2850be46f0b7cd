/** Bodies that come piece by piece, from what the program gave to what the sender asks. */
import { wrongType } from '../../base/options.ts'
import type { BodySource, SourceOwner } from './body-source.ts'
import { AsyncIterableSource, IterableSource } from './iterable-body.ts'
import { PullSource } from './pull-body.ts'
import type { HttpResponseBody, PullBody } from './response.ts'

type StreamedBody = Exclude<HttpResponseBody, string | Uint8Array>

/** Throws a TypeError for what is no body. */
export function openBody(owner: SourceOwner, body: StreamedBody): BodySource {
  if (typeof body === 'function') return new PullSource({ pull: body })
  if (typeof body === 'object') {
    if (Symbol.asyncIterator in body) return new AsyncIterableSource(owner, body)
    if (Symbol.iterator in body) return new IterableSource(body)
    if ('pull' in body) return new PullSource(body as PullBody)
  }
  throw wrongType('body', 'a string, bytes, a file, a function or an iterable', body)
}
