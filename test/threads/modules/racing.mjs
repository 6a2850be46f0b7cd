// Enters and leaves as fast as it can, never beyond the limits, and says how often it got in; then it holds some.
import { parentPort, workerData } from 'node:worker_threads'
import { SharedCounts } from '../../../dist/lib/threads/shared-counts.js'

const { handle, rounds, most, prefixes, perPrefix, keeps } = workerData
const counts = new SharedCounts(handle)
const high = { connections: 0, prefix: 0 }
let entered = 0
for (let round = 0; entered < rounds; round++) {
  if (!counts.enter(most)) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0)
    continue
  }
  const key = round % prefixes
  const isIn = counts.enterPrefix(key, perPrefix)
  high.connections = Math.max(high.connections, counts.connections)
  if (isIn) {
    high.prefix = Math.max(high.prefix, counts.ofPrefix(key))
    counts.leavePrefix(key)
    entered++
  }
  counts.leave()
}
parentPort.postMessage({ entered, high })

parentPort.once('message', () => {
  for (let kept = 0; kept < keeps; kept++) {
    counts.enter(Number.POSITIVE_INFINITY)
    counts.enterPrefix(`kept ${kept}`, Number.POSITIVE_INFINITY)
  }
  let taken = 0
  while (counts.rate.take({ minIntervalMs: 3_600_000, burst: 100 }, performance.now())) taken++
  parentPort.postMessage(taken)
  setInterval(() => {}, 1000)
})
