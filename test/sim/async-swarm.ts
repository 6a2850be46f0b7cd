/**
 * What swarm.ts does, for scenarios in which promises have their turns: everything that is settled has been told before
 * the loop goes on, so a seed leaves the same trace.
 */
import type { FuzzedLoop } from '../support/fuzzed-loop.ts'
import { Random } from './random.ts'
import { type Simulation, type SimulationOptions, simulate } from './simulation.ts'
import { describeFailure, swarmSeeds, type TortureOptions } from './swarm.ts'

export type AsyncScenario = (simulation: Simulation, random: Random) => Promise<void>

const STUCK_TURNS_MAX = 2000

/** Promises that are settled have been told. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Turns until the condition holds, one step at a time. */
export async function turn({ world, kernel }: Simulation, loop: FuzzedLoop, isEnough: () => boolean): Promise<void> {
  let stuck = 0
  while (!isEnough()) {
    const before = world.now + world.eventsRun + kernel.progress
    let steps = 0
    loop.run({ until: () => steps++ > 0 })
    await settled()
    stuck = world.now + world.eventsRun + kernel.progress === before ? stuck + 1 : 0
    if (stuck > STUCK_TURNS_MAX) throw new Error(`${stuck} turns at one instant without progress`)
  }
}

/** One run to its quiet end. What it throws says how to see it again. */
async function run(scenario: AsyncScenario, seed: number, options: SimulationOptions, file: string, failing = 0) {
  const simulation = simulate(seed, options)
  if (failing > 0) simulation.kernel.failNth(failing)
  try {
    await scenario(simulation, new Random(seed ^ 0x5eed))
    simulation.assertQuiescent()
  } catch (cause) {
    throw new Error(describeFailure(simulation, cause, file), { cause })
  }
  return simulation
}

export async function runAsyncSwarm(
  scenario: AsyncScenario,
  options: SimulationOptions,
  file: string,
): Promise<number> {
  const seeds = swarmSeeds()
  for (const seed of seeds) await run(scenario, seed, options, file)
  return seeds.length
}

/** Hashes of two runs of one seed. */
export async function asyncTraceTwice(
  scenario: AsyncScenario,
  seed: number,
  options: SimulationOptions,
  file: string,
): Promise<[string, string]> {
  const first = await run(scenario, seed, options, file)
  const second = await run(scenario, seed, options, file)
  return [first.world.traceHash, second.world.traceHash]
}

/** Runs once for every n, with the n-th call that may fail failing, until a run has fewer. Returns the runs. */
export async function asyncTorture(scenario: AsyncScenario, options: TortureOptions): Promise<number> {
  const { seed = 1, stride = 1, simulation = {}, file } = options
  for (let n = 1, runs = 1; ; n += stride, runs++) {
    const done = await run(scenario, seed, simulation, file, n)
    if (done.kernel.gate.injected === null) return runs
  }
}
