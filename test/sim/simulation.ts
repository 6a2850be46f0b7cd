/**
 * A whole world from a seed: kernel, clock, poller, resolver and an origin. `assertQuiescent` is how every run ends:
 * nothing open, nothing watched, no timer armed, nothing done that a correct library never does.
 */
import type { FuzzedLoop } from '../support/fuzzed-loop.ts'
import { type Link, LOOPBACK } from './channel.ts'
import { SimClock } from './clock.ts'
import { drawFaults, type Faults, NO_FAULTS } from './faults.ts'
import { SimFiles } from './files.ts'
import { SimKernel } from './kernel.ts'
import type { SimKernelOptions } from './kernel-core.ts'
import { type OriginOptions, SimOrigin } from './origin.ts'
import { SimPoller } from './poller.ts'
import type { Random } from './random.ts'
import { SimResolver } from './resolver.ts'
import { World } from './world.ts'

export interface SimulationOptions {
  /** 'swarm' draws from all, 'survivable' from those that change no outcome; default none. */
  readonly faults?: 'swarm' | 'survivable' | Partial<Faults>
  /** 'random' draws a link per connection; default: a loopback device. */
  readonly links?: 'random' | Link
  readonly kernel?: SimKernelOptions
  readonly origin?: OriginOptions
}

export interface Simulation {
  readonly seed: number
  readonly world: World
  readonly faults: Faults
  readonly kernel: SimKernel
  readonly clock: SimClock
  readonly files: SimFiles
  readonly poller: SimPoller
  readonly resolver: SimResolver
  readonly origin: SimOrigin
  readonly loops: FuzzedLoop[]
  /** What is wrong now; empty when nothing is. */
  complaints(): string[]
  /** Everything closed, unwatched and silent. Throws with all that is not. */
  assertQuiescent(): void
}

export const ORIGIN_HOST = 'origin.test'

export function drawLink(random: Random, loss: number): Link {
  return {
    latencyMs: random.unit() ** 2 * 100,
    jitterMs: random.chance(0.5) ? random.unit() * 20 : 0,
    bytesPerMs: random.chance(0.5) ? 10 + random.unit() ** 3 * 100_000 : Number.POSITIVE_INFINITY,
    segmentBytes: random.chance(0.3) ? random.between(1, 50) : 1460,
    sendBuffer: 2 ** random.between(8, 17),
    receiveBuffer: 2 ** random.between(8, 17),
    loss,
  }
}

export function simulate(seed: number, options: SimulationOptions = {}): Simulation {
  const world = new World(seed)
  const random = world.random.fork()
  const wanted = options.faults ?? {}
  const faults: Faults =
    typeof wanted === 'string' ? drawFaults(random, wanted === 'survivable') : { ...NO_FAULTS, ...wanted }
  const reuse = options.kernel?.reuse ?? (typeof wanted === 'string' && random.chance(0.5) ? 'latest' : 'lowest')
  const kernel = new SimKernel(world, faults, { ...options.kernel, reuse })
  const { links } = options
  kernel.network.drawLink = () => (links === 'random' ? drawLink(random, faults.loss) : (links ?? LOOPBACK))
  const resolver = new SimResolver(kernel, world, faults)
  const origin = new SimOrigin(world, kernel.network, {
    fragments: links === 'random' && random.chance(0.7),
    ...options.origin,
  })
  resolver.set(ORIGIN_HOST, { addresses: [origin.address] })
  const loops: FuzzedLoop[] = []
  const poller = new SimPoller(kernel, world, faults)
  const complaints = (): string[] => [
    ...kernel.violations,
    ...loops.flatMap((loop) => loop.violations),
    ...origin.complaints.map((text) => `origin: ${text}`),
  ]
  return {
    seed,
    world,
    faults,
    kernel,
    clock: new SimClock(world),
    files: new SimFiles(kernel),
    poller,
    resolver,
    origin,
    loops,
    complaints,
    assertQuiescent: () => {
      resolver.close()
      const wrong = complaints()
      const open = kernel.table.openList().filter((fd) => !kernel.harness.has(fd))
      if (open.length > 0) wrong.push(`still open: ${open.join(' ')}`)
      if (poller.size > 0) wrong.push(`${poller.size} descriptors still watched`)
      if (loops.some((loop) => loop.watched > 0)) wrong.push('descriptors announced and never removed')
      if (loops.some((loop) => loop.isTimerArmed)) wrong.push('a timer is still armed')
      if (kernel.buffersHeld > 0) wrong.push(`${kernel.buffersHeld} buffers still held`)
      if (resolver.outstanding > 0) wrong.push(`${resolver.outstanding} lookups outstanding`)
      if (wrong.length > 0) throw new Error(`not quiescent:\n  ${wrong.join('\n  ')}`)
    },
  }
}
