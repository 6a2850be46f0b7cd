/**
 * The five priorities. A connection has as much of every budget of its turn as its priority gives it, of which each
 * level has twice as much as the one below: peers that always have more share the loop in the ratio of their weights.
 */
import { type Check, wrongType } from '../base/options.ts'

const PRIORITIES = ['background', 'low', 'normal', 'high', 'critical'] as const
export type Priority = (typeof PRIORITIES)[number]

/** Which of the five it is, from 0. */
export function levelOf(priority: Priority): number {
  return PRIORITIES.indexOf(priority)
}

export function priorityAt(level: number): Priority {
  return PRIORITIES[level] as Priority
}

/** Its budgets are what they are called. */
export const NORMAL_LEVEL: number = levelOf('normal')

export const isPriority: Check = (option, value) => {
  if (!PRIORITIES.includes(value as Priority)) throw wrongType(option, `one of ${PRIORITIES.join(', ')}`, value)
}
