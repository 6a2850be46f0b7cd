// An HTTP server that says its version, and in which thread it runs.
import { threadId } from 'node:worker_threads'

export function handler(request) {
  if (request.url === '/slow') {
    return new Promise((resolve) => setTimeout(() => resolve({ body: 'slow' }), 100))
  }
  return { body: `first ${threadId}` }
}
