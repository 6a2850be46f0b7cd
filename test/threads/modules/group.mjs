// An HTTP server whose answers say in which thread they were made, and which does what it is asked for by the path.
import { threadId } from 'node:worker_threads'

const busy = (ms) => {
  const end = performance.now() + ms
  while (performance.now() < end);
}

let server

export const setup = (own) => {
  server = own
}

export async function handler({ url }) {
  const ms = Number(/\d+/.exec(url)?.[0] ?? 0)
  if (url.startsWith('/busy')) busy(ms)
  if (url.startsWith('/slow')) await new Promise((resolve) => setTimeout(resolve, ms))
  if (url.startsWith('/stop')) setImmediate(() => server.stop())
  if (url.startsWith('/crash'))
    setImmediate(() => {
      throw new Error('the worker is broken')
    })
  return { body: `one ${threadId}` }
}
