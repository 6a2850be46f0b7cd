/**
 * An own loop on the calling thread, synchronous: a Poller, one deadline, nothing else. It takes over the Multi's
 * socket and timer function while it runs, and leaves none behind.
 */
import { checkOptions, isFunction, isInteger, isText, show } from '../base/options.ts'
import { Multi } from '../multi/multi.ts'
import { systemClock } from '../sys/clock.ts'
import { Poller } from '../sys/native.ts'
import type { PollerBackend } from '../sys/poller.ts'
import { Interest, SOCKET_TIMEOUT } from '../sys/readiness.ts'

export interface PollLoopOptions {
  /**
   * Asked before every step; true ends the loop, which otherwise ends when nothing needs it any more. What it adds to
   * the Multi is run.
   */
  until?: () => boolean
  /** Default: the platform's best. */
  backend?: PollerBackend
  /** Longest wait of one step, so that `until` is asked at least this often. Default 1000. */
  maxWaitMs?: number
}

const MAX_WAIT_MS = 1000
const MAX_WAIT_LIMIT_MS = 2 ** 31 - 1
const NOTHING = new Int32Array(0)

/** Runs until nothing runs, or `until` says so. Returns how many transfers still run. `multi.wakeup` ends a wait. */
export function runPollLoop<T extends object, S extends object>(
  multi: Multi<T, S>,
  options: PollLoopOptions = {},
): number {
  if (!(multi instanceof Multi)) throw new TypeError(`runPollLoop: expected a Multi, not ${show(multi)}`)
  checkOptions('runPollLoop options', options, {
    until: isFunction,
    backend: isText,
    maxWaitMs: isInteger(0, MAX_WAIT_LIMIT_MS),
  })
  // Refused inside a callback, and on a closed Multi, before the functions of another loop are taken away.
  multi.socketActionBatch(NOTHING, 0)
  const { until } = options
  const maxWaitMs = options.maxWaitMs ?? MAX_WAIT_MS
  const poller = new Poller(options.backend === undefined ? {} : { backend: options.backend })
  const wakeupFd = multi.waker.fd
  let deadline = Number.POSITIVE_INFINITY
  try {
    poller.add(wakeupFd, Interest.READABLE)
    multi.setTimerFunction((timeoutMs) => {
      deadline = timeoutMs < 0 ? Number.POSITIVE_INFINITY : systemClock.now() + timeoutMs
    })
    multi.setSocketFunction((fd, interest) => {
      if (interest === Interest.REMOVE) poller.remove(fd)
      else poller.modify(fd, interest)
    })
    while (until?.() !== true && multi.active) {
      const left = deadline === Number.POSITIVE_INFINITY ? maxWaitMs : Math.max(0, deadline - systemClock.now())
      const count = poller.wait(Math.min(left, maxWaitMs))
      // A wakeup was for this wait; as an unknown descriptor it changes nothing in the Multi.
      for (let i = 0; i < count; i++) if (poller.ready[2 * i] === wakeupFd) multi.clearWakeup()
      if (count > 0) multi.socketActionBatch(poller.ready, count)
      else if (systemClock.now() >= deadline) multi.socketAction(SOCKET_TIMEOUT)
    }
    return multi.running
  } finally {
    multi.setSocketFunction(null)
    multi.setTimerFunction(null)
    poller.close()
  }
}
