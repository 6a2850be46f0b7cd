/**
 * Scenarios over the whole client: transfers added at random times, paused, resumed and removed in the middle, whatever
 * the network does. What arrives must be a beginning of what the origin sent, and all of it when the code is 0.
 */
import { expect } from 'vitest'
import { Transfer } from '../../lib/client/transfer.ts'
import type { TransferOptions } from '../../lib/client/transfer-options.ts'
import { Multi } from '../../lib/multi/multi.ts'
import type { Clock } from '../../lib/sys/clock.ts'
import type { Kernel } from '../../lib/sys/kernel.ts'
import type { MultiOptions } from '../../lib/typed-multi.ts'
import { type DrivenMulti, drawFuzz } from '../support/fuzzed-loop.ts'
import { attachLoop } from './loop.ts'
import { originBody, originBytes } from './origin.ts'
import type { Random } from './random.ts'
import { ORIGIN_HOST, type Simulation } from './simulation.ts'
import type { Scenario } from './swarm.ts'

export interface TransferScenarioOptions {
  /** Every transfer must end with code 0. */
  readonly mustSucceed?: boolean
  /** Paths beside those that always succeed. */
  readonly paths?: readonly string[]
  /** Pause, resume and remove in the middle. */
  readonly meddles?: boolean
  readonly most?: number
  /** Some send a body, which comes back. */
  readonly uploads?: boolean
  /** What stands between the client and the bytes of HTTP. Default: nothing. */
  readonly layers?: (simulation: Simulation, random: Random) => Layers
  /** For canaries: what stands between the library and its kernel, clock and loop. */
  readonly tamperKernel?: (kernel: Kernel) => Kernel
  readonly tamperClock?: (clock: Clock) => Clock
  readonly tamperMulti?: (multi: DrivenMulti) => DrivenMulti
}

export interface Layers {
  readonly multi: MultiOptions
  /** Of one more transfer: where the origin is, and the way there. */
  next(): { readonly origin: string; readonly options: Partial<TransferOptions> }
  /** After the Multi was closed: what should not be. */
  complaints(): string[]
}

interface Job {
  readonly transfer: Transfer
  readonly path: string
  /** The body that comes when all goes well. */
  readonly expected: Uint8Array
  readonly received: Uint8Array[]
  ended: boolean
}

/** Long enough for the slowest link that a swarm draws. */
const TIMEOUT_MS = 1_200_000

export function transferring(options: TransferScenarioOptions = {}): Scenario {
  return (simulation, random) => {
    const { kernel, clock, resolver, world } = simulation
    const same = <T>(value: T): T => value
    const { tamperKernel = same, tamperClock = same, tamperMulti = same } = options
    const layers = options.layers?.(simulation, random) ?? null
    const multi = new Multi<Transfer>({
      ...layers?.multi,
      kernel: tamperKernel(kernel),
      clock: tamperClock(clock),
      resolver,
      debug: true,
      maxHostConnections: random.pick([1, 2, 256]),
      maxIdleConnections: random.pick([0, 1, 256]),
      watchIdleConnections: random.chance(0.7),
    })
    const loop = attachLoop(simulation, tamperMulti(multi), drawFuzz(random))
    const count = random.between(1, options.most ?? 10)
    const jobs: Job[] = []
    for (let i = 0; i < count; i++) {
      world.plan(world.now + random.unit() * 500, () => {
        const job = newJob(simulation, random, options, layers)
        jobs.push(job)
        multi.add(job.transfer)
        if (options.meddles) meddle(simulation, random, multi, job)
      })
    }
    loop.run({
      until: () => {
        collect(multi, jobs, options.mustSucceed ?? false)
        return jobs.length === count && jobs.every((job) => job.ended)
      },
    })
    multi.close()
    expect(multi.running).toBe(0)
    expect(layers?.complaints() ?? []).toEqual([])
  }
}

function newJob(simulation: Simulation, random: Random, options: TransferScenarioOptions, layers: Layers | null): Job {
  const paths = [
    `/bytes/${random.int(20_000)}`,
    `/bytes/${random.int(10)}`,
    `/chunked/${random.int(20_000)}`,
    `/close/${random.int(20_000)}`,
    `/trailers/${random.int(500)}`,
    `/1xx/${random.int(500)}`,
    `/slow/${random.int(300)}/${random.int(500)}`,
    `/drip/${random.int(20)}`,
    `/idle-fin/${random.int(500)}`,
    `/redirect/${random.between(1, 3)}/chunked/${random.int(5000)}`,
    '/status/204',
    '/status/404',
    ...(options.paths ?? []),
  ]
  const sent = options.uploads && random.chance(0.4) ? originBytes('sent', random.int(50_000)) : null
  const path = sent === null ? random.pick(paths) : '/echo'
  const { origin } = simulation
  const received: Uint8Array[] = []
  const inTheClear = `http://${random.chance(0.5) ? ORIGIN_HOST : origin.address}:${origin.port}`
  const way = layers?.next()
  const settings: TransferOptions = {
    ...way?.options,
    ...(sent === null ? {} : { method: 'PUT', body: sent }),
    url: `${way?.origin ?? inTheClear}${path}`,
    timeoutMs: TIMEOUT_MS,
    followRedirects: true,
    onData: (chunk) => received.push(chunk.slice()),
  }
  return { transfer: new Transfer(settings), path, expected: sent ?? originBody(path), received, ended: false }
}

function meddle({ world }: Simulation, random: Random, multi: Multi<Transfer>, job: Job): void {
  const { transfer } = job
  if (random.chance(0.3)) {
    world.plan(world.now + random.unit() * 100, () => {
      if (job.ended) return
      transfer.pause()
      world.plan(world.now + random.unit() * 1000, () => {
        if (!job.ended) transfer.resume()
      })
    })
  }
  if (random.chance(0.2)) {
    world.plan(world.now + random.unit() * 500, () => {
      if (job.ended) return
      multi.remove(transfer)
      job.ended = true
    })
  }
}

function collect(multi: Multi<Transfer>, jobs: readonly Job[], mustSucceed: boolean): void {
  for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
    const { transfer, code, error } = message
    const job = jobs.find((candidate) => candidate.transfer === transfer)
    expect(job?.ended).toBe(false)
    if (job === undefined) continue
    job.ended = true
    const body = Buffer.concat(job.received)
    const { expected } = job
    expect(Buffer.compare(body, expected.subarray(0, body.length))).toBe(0)
    if (code === 0) expect(`${job.path} ${body.length}`).toBe(`${job.path} ${expected.length}`)
    else expect(error).not.toBeNull()
    if (mustSucceed) expect(`${job.path} ${error?.code ?? 'OK'} ${error?.message ?? ''}`).toBe(`${job.path} OK `)
    multi.remove(transfer)
  }
}
