/** The program of `server-group.ts`: an HTTP server, in as many threads as there are. */
import { threadId } from 'node:worker_threads'
import type { HttpRequest, HttpResponse } from 'sockmux' // in your program: from 'sockmux'

export function handler(request: HttpRequest): HttpResponse {
  if (request.url !== '/') return { status: 404, body: 'Nothing here\n' }
  return { headers: { 'content-type': 'text/plain' }, body: `Hello from thread ${threadId}\n` }
}
