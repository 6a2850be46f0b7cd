/** Drives anything shaped like a Multi through a simulation: attach before the first add, or drive to the end. */
import { type DrivenMulti, FuzzedLoop, type LoopFuzz, type RunOptions } from '../support/fuzzed-loop.ts'
import type { Simulation } from './simulation.ts'

export function attachLoop(simulation: Simulation, multi: DrivenMulti, fuzz?: LoopFuzz): FuzzedLoop {
  const { world, kernel, poller, clock } = simulation
  const loop = new FuzzedLoop({
    multi,
    poller,
    clock,
    random: world.random.fork(),
    ...(fuzz === undefined ? {} : { fuzz }),
    progress: () => world.eventsRun + kernel.progress,
    beforeStep: () => world.runPlans(),
  })
  simulation.loops.push(loop)
  return loop
}

export function drive(
  simulation: Simulation,
  multi: DrivenMulti,
  options: RunOptions & { fuzz?: LoopFuzz } = {},
): FuzzedLoop {
  const loop = attachLoop(simulation, multi, options.fuzz)
  // Added before there was anybody to tell: the first turn is ours.
  if (multi.running > 0) multi.socketAction(-1)
  loop.run(options)
  return loop
}
