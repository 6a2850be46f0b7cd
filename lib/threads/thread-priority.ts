/**
 * The five priorities as niceness of a thread. To become more urgent needs a privilege, and not every system schedules
 * threads apart: it is done as far as it goes, and what came of it is told.
 */
import type { Priority } from '../server/priority.ts'
import { kernel, thread } from '../sys/native.ts'
import { systemError } from '../sys/system-error.ts'
import type { PriorityReport } from './thread-verbs.ts'

const NICENESS: Readonly<Record<Priority, number>> = { background: 19, low: 10, normal: 0, high: -5, critical: -10 }

/** Of the calling thread. */
export function applyPriority(priority: Priority, previous: Priority): PriorityReport {
  // As the process was started, which may be less urgent than "normal" already.
  if (priority === previous) return { previous, applied: true, code: null }
  const result = thread.setNiceness(NICENESS[priority])
  if (result >= 0) return { previous, applied: true, code: null }
  return { previous, applied: false, code: systemError(kernel, result, 'setpriority').code }
}
