/**
 * Many TLS connections in a process of its own: `node handshakes.js URL CA total parallel cache` makes `total` GETs,
 * `parallel` at a time, each on a connection of its own, and prints one line of JSON, as the C peer does.
 */
import { Multi, runPollLoop, Transfer } from 'sockmux'

const [url = '', caFile = '', totalText = '0', parallelText = '0', cache = '1'] = process.argv.slice(2)
const total = Number(totalText)
const parallel = Math.min(Number(parallelText), total)
const multi = new Multi({ maxHostConnections: parallel, maxTotalConnections: parallel })
let started = 0
let done = 0
let resumed = 0
let failed = 0

function readMessages(): boolean {
  for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
    const { transfer, error } = message
    done++
    if (error !== null) failed++
    if (transfer.info.tls?.isResumed) resumed++
    multi.remove(transfer)
    if (started++ < total) multi.add(transfer)
  }
  return done >= total
}

const before = process.cpuUsage()
const begin = performance.now()
for (; started < parallel; started++) {
  multi.add(new Transfer({ url, caFile, forbidReuse: true, freshConnect: true, sessionCache: cache === '1' }))
}
runPollLoop(multi, { until: readMessages })
const seconds = (performance.now() - begin) / 1000
const used = process.cpuUsage(before)
multi.close()
const cpuSeconds = (used.user + used.system) / 1e6
const rss = process.memoryUsage.rss()
console.log(
  JSON.stringify({ description: `sockmux, Node ${process.version}`, seconds, cpuSeconds, resumed, failed, rss }),
)
