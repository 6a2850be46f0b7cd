/**
 * One long transfer in a process of its own: `node bulk.js down|up URL CA FILE` prints one line of JSON: the time that
 * the transfer says it took, processor time, and how the memory of the process stood while the bytes went by.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { Multi, runPollLoop, Transfer, type TransferOptions } from 'sockmux'

/** Between two looks at the memory. */
const SAMPLE_BYTES = 64 << 20
const PIECE_BYTES = 256 << 10
const WARMUP_BYTES = 256 << 20

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

const fd = openSync(file, 'r')
const { size } = fstatSync(fd)
const piece = new Uint8Array(PIECE_BYTES)

/** `length` bytes of the file, there or back. */
function move(length: number): TransferOptions {
  const common = { url, caFile, onData: (chunk: Uint8Array) => count(chunk.length) }
  if (direction === 'down') return { ...common, ...(length < size && { range: `0-${length - 1}` }) }
  let at = 0
  const body = (bytesMax: number): Uint8Array => {
    const bytes = readSync(fd, piece, 0, Math.min(bytesMax, piece.length), at)
    at += bytes
    count(bytes)
    return piece.subarray(0, bytes)
  }
  return { ...common, method: 'PUT', bodyLength: length, body }
}

// A process that has just begun compiles what it runs; curl was compiled before. So a part of it goes first.
const multi = new Multi()
const first = new Transfer(move(Math.min(WARMUP_BYTES, size)))
multi.add(first)
runPollLoop(multi)
multi.remove(first)
moved = 0
sampled = 0
const transfer = new Transfer(move(size))
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
