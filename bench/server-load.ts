/** A server under wrk: CPU time of its process as the system accounts it, per request that wrk counted. */
import type { Contender } from './contenders.ts'
import { pins } from './measure.ts'
import { ServerProcess } from './server-process.ts'
import type { Figures, Metric } from './trial.ts'
import { CPU_PER_REQUEST, PER_SECOND } from './trial.ts'
import { type Load, runWrk } from './wrk.ts'

/** Load on one server; `path` begins with '/'. */
export interface ServerLoad extends Omit<Load, 'url'> {
  readonly path?: string
}

export const LOAD_METRICS: readonly Metric[] = [
  CPU_PER_REQUEST,
  PER_SECOND,
  { name: 'p99', title: 'latency, 99th percentile', unit: 'µs', digits: 0, better: 'less' },
]
const WARMUP_MS_MAX = 1000
const PATIENCE = 10

/** Starts it, on the core of subjects unless told otherwise, and stops it in any case. */
export async function withServer<A>(
  entry: Contender,
  body: (server: ServerProcess) => Promise<A>,
  { subject } = pins(),
): Promise<A> {
  const server = await ServerProcess.start([...subject, ...entry.command], entry.port)
  try {
    return await body(server)
  } finally {
    await server.stop()
  }
}

/** A fresh process, warmed up, under load. */
export function measureServer(entry: Contender, load: ServerLoad): Promise<Figures> {
  const measure = async (server: ServerProcess): Promise<Figures> => {
    await loadServer(server, { ...load, milliseconds: Math.min(load.milliseconds, WARMUP_MS_MAX) })
    return loadServer(server, load)
  }
  return withServer(entry, measure, load.pins)
}

export async function loadServer(server: ServerProcess, load: ServerLoad): Promise<Figures> {
  const before = server.cpuSeconds()
  const url = `http://127.0.0.1:${server.port}${load.path ?? '/'}`
  let answer = await runWrk({ ...load, url })
  // A machine that is too busy to answer at all in so short a time is given some more.
  for (let again = 0; answer.requests === 0 && again < PATIENCE; again++) answer = await runWrk({ ...load, url })
  const used = server.cpuSeconds() - before
  const { requests, seconds, cpuSeconds, latency, failures } = answer
  if (requests === 0) throw new Error(`no request of ${load.connections} connections was answered`)
  return {
    cpu: (used * 1e6) / requests,
    rate: requests / seconds,
    load: (cpuSeconds * 1e6) / requests,
    loadCores: cpuSeconds / seconds,
    p50: latency[50],
    p99: latency[99],
    requests,
    failures,
  }
}
