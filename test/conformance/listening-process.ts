/**
 * Listeners in a process of their own, whose descriptors are counted or come from its parent. Says what happened as one
 * line of JSON. 'descriptors': more clients than descriptors, then fewer. 'passed': what the environment passed; each
 * listener answers its own name until the parent ends this process's input.
 */
import { spawnSync } from 'node:child_process'
import { runPollLoop } from '../../lib/loops/poll-loop.ts'
import { Multi } from '../../lib/multi/multi.ts'
import type { Connection } from '../../lib/server/connection/connection.ts'
import { listenFds } from '../../lib/server/listening/listen-fds.ts'
import { Listener } from '../../lib/server/listening/listener.ts'
import { Family } from '../../lib/sys/kernel.ts'
import { kernel, systemCalls } from '../../lib/sys/native.ts'

const CLIENTS = 20
const FREE_DESCRIPTORS = 6
const DESCRIPTORS_MOST = 256
const PAUSE_MS = 300

function tell(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}

/** Leaves a few, and returns the rest. */
function useUpDescriptors(): number[] {
  const limit = ['--pid', String(process.pid), `--nofile=${DESCRIPTORS_MOST}:`]
  const { status } = spawnSync('prlimit', limit, { stdio: 'ignore' })
  if (status !== 0) throw new Error('prlimit failed')
  const fds: number[] = []
  for (let fd = kernel.socket(Family.IPV4); fd >= 0; fd = kernel.socket(Family.IPV4)) fds.push(fd)
  for (const fd of fds.splice(-FREE_DESCRIPTORS)) kernel.close(fd)
  return fds
}

function runFor(multi: Multi<object>, ms: number): void {
  const end = performance.now() + ms
  runPollLoop(multi, { until: () => performance.now() >= end, maxWaitMs: 5 })
}

function outnumberDescriptors(): void {
  const accepted: Connection[] = []
  const errors: object[] = []
  const multi = new Multi<object>()
  const listener = new Listener(multi, { host: '127.0.0.1', port: 0 }, (connection) => accepted.push(connection))
  listener.onError = ({ code, syscall, retryInMs, fatal }) => errors.push({ code, syscall, retryInMs, fatal })
  const { family, address, port } = listener.address
  const clients = Array.from({ length: CLIENTS }, () => kernel.socket(family))
  for (const client of clients) kernel.connect(client, family, address, port)
  const calls = (): number => systemCalls()['accept'] as number
  const start = performance.now()
  const seen = { accepted: 0, calls: 0 }
  let used: number[] = []
  let phase = 0
  // One loop for all, since another one would need a descriptor.
  const until = (): boolean => {
    const now = performance.now() - start
    if (phase === 0) used = useUpDescriptors()
    else if (phase === 1 && now > PAUSE_MS) Object.assign(seen, { accepted: accepted.length, calls: calls() })
    else if (phase === 2 && now > 2 * PAUSE_MS) {
      seen.calls = calls() - seen.calls
      for (const fd of used) kernel.close(fd)
    } else return phase === 3 && accepted.length === CLIENTS
    phase++
    return false
  }
  runPollLoop(multi, { until, maxWaitMs: 5 })
  const { accepted: acceptedWhenFull, calls: acceptsWhileFull } = seen
  tell({ acceptedWhenFull, acceptsWhileFull, accepted: accepted.length, errors, enabled: listener.enabled })
  multi.close()
}

function answerByName(): void {
  const passed = listenFds()
  const multi = new Multi<object>()
  const listeners = passed.map(({ name, fd }) => {
    return new Listener(multi, { fd, name }, (connection, listener) => {
      connection.write(Buffer.from(listener.name))
      connection.close()
    })
  })
  tell({ passed, again: listenFds(), addresses: listeners.map((listener) => listener.address) })
  process.stdin.on('end', () => process.exit(0)).resume()
  const turn = (): void => {
    runFor(multi, 5)
    setImmediate(turn)
  }
  turn()
}

// The variables name a process, which nobody knows before it was started.
if (process.env['LISTEN_PID'] === 'mine') process.env['LISTEN_PID'] = String(process.pid)
if (process.argv[2] === 'descriptors') outnumberDescriptors()
else answerByName()
