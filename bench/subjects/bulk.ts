/**
 * One long transfer in a process of its own: `node bulk.js down|up URL CA FILE` prints one line of JSON: the time that
 * the transfer says it took, processor time, and how the memory of the process stood while the bytes went by.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { Multi, runPollLoop, Transfer, type TransferOptions } from 'sockmux'

/** Between two looks at the memory. */
const SAMPLE_BYTES = 64 << 20
const PIECE_BYTES = 256 << 10
const WARMUP_BYTES = 32 << 20

const [direction = 'down', url = '', caFile = '', file = ''] = process.argv.slice(2)
const memory: number[] = [process.memoryUsage.rss()]
let moved = 0
let sampled = 0

function count(bytes: number): void {
  moved += bytes
  if (moved - sampled < SAMPLE_BYTES) return
  sampled = moved
  memory.push(process.memoryUsage.rss())
}

// A process that has just begun compiles what it runs; curl was compiled before. So a small transfer goes first.
const multi = new Multi()
const first = new Transfer({ url, caFile, method: direction === 'up' ? 'HEAD' : 'GET', range: `0-${WARMUP_BYTES - 1}` })
multi.add(first)
runPollLoop(multi)
multi.remove(first)
const fd = openSync(file, 'r')
const options: TransferOptions = { url, caFile, onData: (chunk) => count(chunk.length) }
if (direction === 'up') {
  const piece = new Uint8Array(PIECE_BYTES)
  options.method = 'PUT'
  options.bodyLength = fstatSync(fd).size
  options.body = (bytesMax) => {
    const length = readSync(fd, piece, 0, Math.min(bytesMax, piece.length), null)
    count(length)
    return length === 0 ? null : piece.subarray(0, length)
  }
}
const transfer = new Transfer(options)
multi.add(transfer)
const before = process.cpuUsage()
runPollLoop(multi)
const used = process.cpuUsage(before)
const error = multi.infoRead()?.error ?? null
closeSync(fd)
multi.close()
console.log(
  JSON.stringify({
    description: `sockmux, Node ${process.version}`,
    error: error?.message ?? '',
    status: transfer.info.status,
    bytes: moved,
    seconds: transfer.info.totalTime / 1e6,
    cpuSeconds: (used.user + used.system) / 1e6,
    memory,
  }),
)
