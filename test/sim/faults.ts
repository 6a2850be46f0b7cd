/**
 * What may go wrong in a run: probabilities, 0 is never. A swarm run draws its own set, with about half of the faults
 * off entirely, so that no fault hides behind another one.
 */
import type { Random } from './random.ts'

export interface Faults {
  /** Per call. */
  partialRead: number
  partialWrite: number
  spuriousWouldBlock: number
  pollInterrupted: number
  descriptorTableFull: number
  systemTableFull: number
  acceptAborted: number
  optionRefused: number
  /** Bytes of a registered buffer that a receive was offered but did not fill are overwritten. */
  poison: number
  /** Events of the network happen between two system calls, not only inside waits. */
  arrivalBetweenCalls: number
  /** Per connection. */
  connectRefused: number
  connectUnreachable: number
  connectBlackHole: number
  connectSlow: number
  resetInFlight: number
  /** A reset throws away what had arrived and was not read (BSD); otherwise it stays readable (Linux). */
  resetDiscards: number
  /** Per segment: it is sent again, a good deal later. */
  loss: number
  /** Per wait. */
  clockJump: number
  spuriousReadiness: number
  delayedReadiness: number
  shuffledReadiness: number
  earlyReturn: number
  lateReturn: number
  staleReadiness: number
  smallCapacity: number
  /** Per lookup. */
  lookupRefused: number
  lookupFailed: number
  lookupSlow: number
}

export const NO_FAULTS: Readonly<Faults> = {
  partialRead: 0,
  partialWrite: 0,
  spuriousWouldBlock: 0,
  pollInterrupted: 0,
  descriptorTableFull: 0,
  systemTableFull: 0,
  acceptAborted: 0,
  optionRefused: 0,
  poison: 0,
  arrivalBetweenCalls: 0,
  connectRefused: 0,
  connectUnreachable: 0,
  connectBlackHole: 0,
  connectSlow: 0,
  resetInFlight: 0,
  resetDiscards: 0,
  loss: 0,
  clockJump: 0,
  spuriousReadiness: 0,
  delayedReadiness: 0,
  shuffledReadiness: 0,
  earlyReturn: 0,
  lateReturn: 0,
  staleReadiness: 0,
  smallCapacity: 0,
  lookupRefused: 0,
  lookupFailed: 0,
  lookupSlow: 0,
}

/** The most that a swarm run draws for each fault. */
const MOST: Readonly<Faults> = {
  partialRead: 0.5,
  partialWrite: 0.5,
  spuriousWouldBlock: 0.1,
  pollInterrupted: 0.1,
  descriptorTableFull: 0.02,
  systemTableFull: 0.02,
  acceptAborted: 0.1,
  optionRefused: 0.1,
  poison: 1,
  arrivalBetweenCalls: 0.3,
  connectRefused: 0.1,
  connectUnreachable: 0.05,
  connectBlackHole: 0.05,
  connectSlow: 0.3,
  resetInFlight: 0.15,
  resetDiscards: 1,
  loss: 0.1,
  clockJump: 0.005,
  spuriousReadiness: 0.2,
  delayedReadiness: 0.2,
  shuffledReadiness: 0.5,
  earlyReturn: 0.1,
  lateReturn: 0.2,
  staleReadiness: 0.2,
  smallCapacity: 0.5,
  lookupRefused: 0.05,
  lookupFailed: 0.1,
  lookupSlow: 0.3,
}

/** Faults that a correct client cannot survive with a success: they change outcomes, not only the way there. */
const FATAL: ReadonlySet<keyof Faults> = new Set([
  'descriptorTableFull',
  'systemTableFull',
  'acceptAborted',
  'connectRefused',
  'connectUnreachable',
  'connectBlackHole',
  'resetInFlight',
  'clockJump',
  'lookupRefused',
  'lookupFailed',
])

export function faultNames(): (keyof Faults)[] {
  return Object.keys(NO_FAULTS) as (keyof Faults)[]
}

/** `survivable`: only faults that a correct program gets through without anybody noticing. */
export function drawFaults(random: Random, survivable = false): Faults {
  const faults: Faults = { ...NO_FAULTS }
  for (const name of faultNames()) {
    const on = random.chance(0.5)
    const share = random.unit()
    if (on && !(survivable && FATAL.has(name))) faults[name] = MOST[name] * share * share
  }
  return faults
}
