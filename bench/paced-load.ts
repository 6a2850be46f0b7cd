/** Our own load generator, bench/peers/load.c: any bytes, as fast as answers come or at a fixed rate. */
import { ON_EPOLL } from './contenders.ts'
import { pins, runCommand } from './measure.ts'
import { compilePeer } from './peers.ts'
import { MissingPeerError } from './trial.ts'

export interface PacedLoad {
  readonly port: number
  readonly connections: number
  readonly milliseconds: number
  /** Per second, in all; 0: as fast as answers come. */
  readonly rate: number
  readonly text: string
}

export interface PacedAnswer {
  readonly requests: number
  readonly seconds: number
  readonly failures: number
  /** Latency in µs, by percentile. */
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
}

const SLACK_MS = 20_000

/** The path of the generator. Throws MissingPeerError. */
export function requireLoad(): string {
  const peer = compilePeer({ ...ON_EPOLL, name: 'load' })
  if ('missing' in peer) throw new MissingPeerError(`the load generator: ${peer.missing}`)
  return peer.path
}

export function runLoad(path: string, { port, connections, milliseconds, rate, text }: PacedLoad): PacedAnswer {
  const parameters = [port, connections, milliseconds, rate].map(String)
  const answer: PacedAnswer = JSON.parse(
    runCommand([...pins().load, path, ...parameters, text], milliseconds + SLACK_MS),
  )
  if (answer.requests === 0) throw new Error('nothing was answered')
  return answer
}
