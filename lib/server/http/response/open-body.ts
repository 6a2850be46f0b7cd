/** Bodies that come piece by piece, from what the program gave to what the sender asks. */
import { wrongType } from '../../../base/options.ts'
import type { Host } from '../../../multi/host.ts'
import type { BodySource, SourceOwner } from './body-source.ts'
import { FileSource } from './file-body.ts'
import { AsyncIterableSource, IterableSource } from './iterable-body.ts'
import { PipeSource } from './pipe-body.ts'
import { PullSource } from './pull-body.ts'
import type { HttpResponse, HttpResponseBody, PullBody } from './response.ts'

type StreamedBody = Exclude<HttpResponseBody, string | Uint8Array>

/** Throws a TypeError for what is no body. What was given open is then closed. */
export function openBody(host: Host, owner: SourceOwner, body: StreamedBody): BodySource {
  if (typeof body === 'function') return new PullSource({ pull: body })
  if (typeof body === 'object') {
    if (Symbol.asyncIterator in body) return new AsyncIterableSource(owner, body)
    if (Symbol.iterator in body) return new IterableSource(body)
    if ('pull' in body) return new PullSource(body as PullBody)
    if ('file' in body) return FileSource.open(host.files, body)
    if ('fd' in body) return new FileSource(host.files, body.fd, body)
    if ('pipe' in body) return new PipeSource(host, owner, body)
  }
  throw wrongType('body', 'a string, bytes, a file, a function or an iterable', body)
}

/** Closes what a response holds that is not going to be sent. */
export function discardResponse(host: Host, response: HttpResponse): void {
  const { body = null } = response
  if (typeof body !== 'object' || body === null || body instanceof Uint8Array || Array.isArray(body)) return
  // Nothing was opened for it yet.
  if ('file' in body) return
  const owner = { wake: () => {} }
  try {
    openBody(host, owner, body as StreamedBody).close(null)
  } catch {
    // Nobody is there to be told.
  }
}
