/** The load generator wrk: so many connections that each ask again as soon as they are answered. */
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Load {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  /** Requests that are sent before the first answer is awaited. Default 1. */
  readonly pipelined?: number
}

export interface LoadAnswer {
  readonly requests: number
  readonly seconds: number
  /** Connections and requests that failed, and answers with an error. */
  readonly failures: number
  /** µs, by percentile. */
  readonly latency: Readonly<Record<'50' | '90' | '99', number>>
}

const PROBE_MS_MAX = 5000
const SLACK_SECONDS = 20
const MICROSECONDS: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6, m: 6e7 }

export function findWrk(): string | null {
  return spawnSync('wrk', ['-v'], { timeout: PROBE_MS_MAX }).error === undefined ? null : 'no wrk (apt-get install wrk)'
}

/** `prefix` goes before the command, to keep it on a core. */
export async function runWrk(load: Load, prefix: readonly string[]): Promise<LoadAnswer> {
  const { url, connections, seconds, pipelined = 1 } = load
  const script = fileURLToPath(new URL('../../bench/pipeline.lua', import.meta.url))
  const more = pipelined > 1 ? ['-s', script, url, '--', String(pipelined)] : [url]
  const command = [...prefix, 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...more]
  return readAnswer(await output(command, (seconds + SLACK_SECONDS) * 1000))
}

async function output(command: readonly string[], timeoutMs: number): Promise<string> {
  const [program = '', ...parameters] = command
  const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'inherit'], timeout: timeoutMs })
  let text = ''
  child.stdout.setEncoding('latin1').on('data', (piece: string) => {
    text += piece
  })
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${String(status)}: ${text}`)
  return text
}

export function readAnswer(text: string): LoadAnswer {
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
