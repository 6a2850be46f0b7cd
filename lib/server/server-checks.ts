/** The options of a server's verbs: checked here, completed by defaults where they are used. */
import {
  type Check,
  checkOptions,
  isBoolean,
  isDuration,
  isObject,
  show,
  wrongRange,
  wrongType,
} from '../base/options.ts'
import { CLOSE_REASONS, type CloseReason } from './connection/close-reason.ts'

const IDLE_POLICIES = ['close', 'last-response', 'linger'] as const

function isOneOf(...words: readonly string[]): Check {
  return (option, value) => {
    if (!words.includes(value as string)) throw wrongRange(option, `one of ${words.join(', ')}`, value)
  }
}

const anything: Check = () => {}

const SUSPEND = {
  pending: isOneOf('queue', 'reject', 'reset'),
  clients: isOneOf('keep', 'disconnect'),
  forMs: isDuration,
}
const QUIESCE = { drainQueue: isBoolean }
const DRAIN = { deadlineMs: isDuration, idle: isOneOf(...IDLE_POLICIES) }
const STOP = { graceMs: isDuration, reset: isBoolean }
const RESTART = { ...STOP, keepListener: isBoolean }
const BROADCAST = { except: anything, slow: isOneOf('skip', 'queue', 'disconnect') }
const EXCLUSIVE = { timeoutMs: isDuration }

/** Throws TypeError or RangeError naming the verb, the option and the value. */
export const checkSuspend = (options: unknown): void => checkOptions('suspend', options, SUSPEND)
export const checkQuiesce = (options: unknown): void => checkOptions('quiesce', options, QUIESCE)
export const checkDrain = (options: unknown): void => checkOptions('drain', options, DRAIN)
export const checkStop = (options: unknown): void => checkOptions('stop', options, STOP)
export const checkRestart = (options: unknown): void => checkOptions('restart', options, RESTART)
export const checkBroadcast = (options: unknown): void => checkOptions('broadcast', options, BROADCAST)
export const checkExclusive = (options: unknown): void => checkOptions('exclusive', options, EXCLUSIVE)

export function checkReason(reason: unknown): asserts reason is CloseReason {
  if (!CLOSE_REASONS.includes(reason as CloseReason)) {
    throw wrongRange('reason', `one of ${CLOSE_REASONS.join(', ')}`, reason)
  }
}

export function checkIdOrName(verb: string, value: unknown): void {
  if (typeof value !== 'number' && typeof value !== 'string') {
    throw new TypeError(`${verb}: expected an id or a name, not ${show(value)}`)
  }
}

export function checkAddress(option: string, value: unknown): void {
  isObject(option, value)
  const { family, address, port } = value as Record<string, unknown>
  if (typeof family !== 'number') throw wrongType(`${option}.family`, 'a Family', family)
  if (typeof address !== 'string') throw wrongType(`${option}.address`, 'a string', address)
  if (typeof port !== 'number') throw wrongType(`${option}.port`, 'a number', port)
}
