/** The load generator wrk: so many connections that each ask again as soon as they are answered. */
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../scripts/prebuild.ts'
import { type Pins, pins } from './measure.ts'
import { MissingPeerError } from './trial.ts'

export interface Load {
  readonly url: string
  readonly connections: number
  readonly milliseconds: number
  /** Requests that are sent before the first answer is awaited. Default 1. */
  readonly pipelined?: number
  /** Ask for the end of the connection with each request, so that each has one of its own. Default false. */
  readonly close?: boolean
  /** Who runs where, the server included. Default: each on a core of its own. */
  readonly pins?: Pins
}

export interface LoadAnswer {
  readonly requests: number
  readonly seconds: number
  /** Of processor time that wrk itself took. */
  readonly cpuSeconds: number
  /** Connections and requests that failed, and answers with an error. */
  readonly failures: number
  /** µs, by percentile. */
  readonly latency: Readonly<Record<'50' | '90' | '99', number>>
}

const PROBE_MS_MAX = 5000
const SLACK_SECONDS = 20
/** It needs as long to start. */
const INTERRUPT_LATE_MS = 50
/** In which /proc counts processor time, whatever the kernel was built with. */
const TICKS_PER_SECOND = 100
/** Fields of /proc/self/stat behind the name: time of children that have ended, in user mode and in the kernel. */
const CHILDREN_TIMES = [13, 14] as const
const NOTHING: LoadAnswer = {
  requests: 0,
  seconds: 0,
  cpuSeconds: 0,
  failures: 0,
  latency: { 50: 0, 90: 0, 99: 0 },
}
const MICROSECONDS: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6, m: 6e7 }

/** Throws MissingPeerError. */
export function requireWrk(): void {
  if (spawnSync('wrk', ['-v'], { timeout: PROBE_MS_MAX }).error === undefined) return
  throw new MissingPeerError('wrk is not installed (apt-get install wrk)')
}

export async function runWrk(load: Load): Promise<LoadAnswer> {
  const { url, connections, milliseconds, pipelined = 1, close = false } = load
  const { load: pin } = load.pins ?? pins()
  // Its -d takes whole seconds; interrupted, it stops and tells what it has.
  const seconds = Math.ceil(milliseconds / 1000)
  const script = join(packageRoot(), 'bench', 'pipeline.lua')
  const more = pipelined > 1 ? ['-s', script, url, '--', String(pipelined)] : [url]
  const fields = close ? ['-H', 'Connection: close'] : []
  const command = [...pin, 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...fields, ...more]
  const interruptMs = milliseconds === seconds * 1000 ? null : milliseconds + INTERRUPT_LATE_MS
  const before = childrenSeconds()
  const text = await output(command, interruptMs, (seconds + SLACK_SECONDS) * 1000)
  return text === null ? NOTHING : { ...readAnswer(text), cpuSeconds: childrenSeconds() - before }
}

/** What children of this process took that have ended; while wrk runs, no other one ends. */
function childrenSeconds(): number {
  const text = readFileSync('/proc/self/stat', 'latin1')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return CHILDREN_TIMES.reduce((sum, place) => sum + Number(fields[place]), 0) / TICKS_PER_SECOND
}

/** null when it was interrupted before it could listen to that. */
async function output(
  command: readonly string[],
  interruptMs: number | null,
  timeoutMs: number,
): Promise<string | null> {
  const [program = '', ...parameters] = command
  const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'inherit'], timeout: timeoutMs })
  let text = ''
  child.stdout.setEncoding('latin1').on('data', (piece: string) => {
    text += piece
  })
  const timer = interruptMs === null ? undefined : setTimeout(() => child.kill('SIGINT'), interruptMs)
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  clearTimeout(timer)
  if (child.signalCode === 'SIGINT') return null
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${String(status)}: ${text}`)
  return text
}

export function readAnswer(text: string): Omit<LoadAnswer, 'cpuSeconds'> {
  const [, requests, time, unit] = /(\d+) requests in ([\d.]+)(us|ms|s|m),/.exec(text) ?? []
  if (requests === undefined) throw new Error(`wrk said something else: ${text}`)
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? []
  const refused = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? '0'
  return {
    requests: Number(requests),
    seconds: (Number(time) * (MICROSECONDS[unit as string] as number)) / 1e6,
    failures: [...errors, refused].reduce((sum, count) => sum + Number(count), 0),
    latency: { 50: percentile(text, 50), 90: percentile(text, 90), 99: percentile(text, 99) },
  }
}

function percentile(text: string, percent: number): number {
  const [, value, unit = 'us'] = new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s|m)$`, 'm').exec(text) ?? []
  return Number(value ?? Number.NaN) * (MICROSECONDS[unit] as number)
}
