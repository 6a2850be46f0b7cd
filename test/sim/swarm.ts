/**
 * How simulated runs are multiplied: over many seeds (a swarm), twice over one seed (same seed, same trace), and over
 * every call that may fail (torture). A scenario is a function of a simulation; `assertQuiescent` ends it here, not in
 * the scenario. What fails says how to see it again.
 */
import { Random } from './random.ts'
import { type Simulation, type SimulationOptions, simulate } from './simulation.ts'

/** `random` is the scenario's own; its draws do not shift the world's. */
export type Scenario = (simulation: Simulation, random: Random) => void

const SEEDS_DEFAULT = 50
const TRACE_SHOWN = 40

/** SOCKMUX_SEED names one; SOCKMUX_SEEDS says how many. */
export function swarmSeeds(): number[] {
  const one = process.env.SOCKMUX_SEED
  if (one !== undefined && one !== '') return [Number(one)]
  const count = Number(process.env.SOCKMUX_SEEDS ?? SEEDS_DEFAULT)
  return Array.from({ length: count }, (_, index) => index + 1)
}

/** One run to its quiet end. Returns the simulation for further questions. */
export function runScenario(scenario: Scenario, seed: number, options: SimulationOptions): Simulation {
  const simulation = simulate(seed, options)
  scenario(simulation, new Random(seed ^ 0x5eed))
  simulation.assertQuiescent()
  return simulation
}

/** The same, with what is needed for a replay in the message of what it throws. */
export function runReplayable(scenario: Scenario, seed: number, options: SimulationOptions, file: string): Simulation {
  const simulation = simulate(seed, options)
  try {
    scenario(simulation, new Random(seed ^ 0x5eed))
    simulation.assertQuiescent()
    return simulation
  } catch (cause) {
    throw new Error(describeFailure(simulation, cause, file), { cause })
  }
}

/** How to see it again. */
export function describeFailure(simulation: Simulation, cause: unknown, file: string): string {
  const { seed, world, faults, kernel } = simulation
  const on = Object.entries(faults).filter(([, probability]) => probability > 0)
  return [
    `seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`,
    `replay: SOCKMUX_SEED=${seed} npm test -- ${file}`,
    `faults: ${on.map(([name, probability]) => `${name} ${probability.toFixed(3)}`).join(', ') || 'none'}`,
    `injected: ${kernel.gate.injected ?? 'nothing'}; violations: ${simulation.complaints().join('; ') || 'none'}`,
    'the end of the trace:',
    ...world.trace.slice(-TRACE_SHOWN).map((line) => `  ${line}`),
  ].join('\n')
}

export function runSwarm(scenario: Scenario, options: SimulationOptions, file: string): number {
  const seeds = swarmSeeds()
  for (const seed of seeds) runReplayable(scenario, seed, options, file)
  return seeds.length
}

/** Hashes of two runs of one seed. */
export function traceTwice(scenario: Scenario, seed: number, options: SimulationOptions): [string, string] {
  const hashes = [0, 1].map(() => runScenario(scenario, seed, options).world.traceHash)
  return hashes as [string, string]
}

export interface TortureOptions {
  readonly seed?: number
  readonly simulation?: SimulationOptions
  /** Fail every stride-th call only. */
  readonly stride?: number
  readonly file: string
}

/** Runs once for every n, with the n-th call that may fail failing, until a run has fewer. Returns the runs. */
export function torture(scenario: Scenario, options: TortureOptions): number {
  const { seed = 1, stride = 1, simulation = {}, file } = options
  let runs = 0
  for (let n = 1; ; n += stride) {
    runs++
    const failing: Scenario = (world, random) => {
      world.kernel.failNth(n)
      scenario(world, random)
    }
    const done = runReplayable(failing, seed, simulation, file)
    if (done.kernel.gate.injected === null) return runs
  }
}
