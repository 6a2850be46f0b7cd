/** The answer to a request for what is below a directory, and how many bytes its body has. */
import { fstatSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { fileResponse, type HttpRequest, type HttpResponse } from '../index.ts'
import { directoryListing } from './serve-listing.ts'
import { type FoundPath, findPath, lookUp } from './serve-path.ts'
import type { ServeSettings } from './serve-settings.ts'

const INDEX = 'index.html'
const ALLOWED = 'GET, HEAD'

const TEXTS: Readonly<Record<number, string>> = {
  301: 'Moved Permanently',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
}

/** Throws a SystemError, as for EMFILE. */
export function serveAnswer(request: HttpRequest, settings: ServeSettings): HttpResponse {
  const { method, url } = request
  if (method !== 'GET' && method !== 'HEAD') return plain(405, { allow: ALLOWED })
  const found = findPath(url, settings)
  if (typeof found === 'number') return plain(found)
  if (!found.stats.isDirectory()) return fileAnswer(request, found.path, found.stats)
  return found.hasSlash ? directoryAnswer(request, found, settings) : plain(301, { location: withSlash(found) })
}

/** Of the body that goes to the client. */
export function bodyBytesOf({ method }: HttpRequest, { status = 200, body }: HttpResponse): number {
  if (method === 'HEAD' || status === 304) return 0
  if (typeof body === 'string') return Buffer.byteLength(body)
  if (typeof body !== 'object' || body === null) return 0
  if ('length' in body && typeof body.length === 'number') return body.length
  return 'fd' in body ? fstatSync(body.fd).size : 0
}

function fileAnswer(request: HttpRequest, path: string, stats: Stats): HttpResponse {
  // A pipe may never answer, a device never end.
  if (!stats.isFile()) return plain(404)
  return fileResponse(request, path, { headers: { 'x-content-type-options': 'nosniff' } })
}

function directoryAnswer(request: HttpRequest, found: FoundPath, settings: ServeSettings): HttpResponse {
  const index = join(found.path, INDEX)
  const stats = lookUp(index, settings)
  if (typeof stats !== 'number' && stats.isFile()) return fileAnswer(request, index, stats)
  if (!settings.listing) return plain(403)
  const headers = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache' }
  return { headers, body: directoryListing(found.path, found.segments, settings) }
}

/** A path of this server, however many slashes the target began with. */
function withSlash({ segments, query }: FoundPath): string {
  return `${segments.map((segment) => `/${encodeURIComponent(segment)}`).join('')}/${query}`
}

function plain(status: number, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  return { status, headers: { ...headers, 'content-type': 'text/plain' }, body: `${TEXTS[status]}\n` }
}
