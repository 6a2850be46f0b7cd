/** Requests in a thread or a process of its own, which is left to end by itself or is ended in the middle. */
import { parentPort, workerData } from 'node:worker_threads'
import { request } from '../../lib/index.ts'

const [url = '', end = ''] = parentPort === null ? process.argv.slice(2) : (workerData as string[])
const tell = (what: string): void => {
  if (parentPort === null) process.stdout.write(what)
  else parentPort.postMessage(what)
}

const response = await request(`${url}/bytes/5`)
const { length } = await response.bytes()
if (end === 'in flight') {
  // Waiting for a head, for the rest of a body, and held back by its reader.
  for (let i = 0; i < 5; i++) request(`${url}/hang`).catch(() => {})
  const [stalled, unread] = await Promise.all([request(`${url}/stall/1000`), request(`${url}/bytes/2000000`)])
  stalled.text().catch(() => {})
  setTimeout(() => unread.discard(), 60_000)
}
tell(`${length} bytes`)
