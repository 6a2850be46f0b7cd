/** The module of examples/managed-server.ts: all of this runs in the thread of the server. */
import { threadId } from 'node:worker_threads'
// In your program: from 'sockmux'.
import type { HttpRequest, HttpResponse, Server } from 'sockmux'

let greeting = ''

export function setup(server: Server<{ readonly greeting: string }>): void {
  greeting = server.data.greeting
}

export function handler(request: HttpRequest): HttpResponse {
  if (request.url === '/crash') setImmediate(() => process.exit(1))
  return { body: `${greeting} from thread ${threadId}\n` }
}
