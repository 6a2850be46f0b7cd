/**
 * Node's own loop: one uv_poll_t on a Poller's descriptor, one timer, and an immediate for "now", since a timer of 0 ms
 * costs 1 ms there. The process stays alive exactly while the Multi is active.
 */
import { MultiError } from '../base/errors.ts'
import { show } from '../base/options.ts'
import { Multi } from '../multi/multi.ts'
import { NodeLoop, Poller } from '../sys/native.ts'
import { Interest, SOCKET_TIMEOUT } from '../sys/readiness.ts'

/** Waits per wake-up of Node's loop, so that a flood of readiness leaves room for Node's own work. */
const BATCHES_PER_WAKEUP = 4

export interface NodeLoopAttachment {
  /** Idempotent. The Multi has no loop afterwards; its transfers rest until another one drives it. */
  detach(): void
  [Symbol.dispose](): void
}

export interface NodeLoopOptions {
  /**
   * Listening descriptors that other threads watch as well: of those that wait the system wakes one, as far as it can.
   * Looked at whenever one is announced.
   */
  readonly exclusiveFds?: ReadonlySet<number>
}

const NONE: ReadonlySet<number> = new Set()

/** Takes over the Multi's socket, timer and activity function. */
export function attachToNodeLoop<T extends object, S extends object>(
  multi: Multi<T, S>,
  options: NodeLoopOptions = {},
): NodeLoopAttachment {
  const { exclusiveFds = NONE } = options
  if (!(multi instanceof Multi)) throw new TypeError(`attachToNodeLoop: expected a Multi, not ${show(multi)}`)
  if (multi.closed) throw new MultiError('BAD_HANDLE', 'attachToNodeLoop: this Multi is closed')
  const poller = new Poller()
  const hasExclusive = poller.backend === 'epoll'
  const loop = new NodeLoop(poller.fd, (timedOut: boolean) => {
    if (timedOut) {
      multi.socketAction(SOCKET_TIMEOUT)
      return
    }
    for (let batch = 0; batch < BATCHES_PER_WAKEUP; batch++) {
      const count = poller.wait(0)
      if (count === 0) return
      multi.socketActionBatch(poller.ready, count)
      if (!attached || count * 2 < poller.ready.length) return
    }
  })
  let attached = true
  const detach = (): void => {
    if (!attached) return
    attached = false
    loop.close()
    poller.close()
    if (multi.closed) return
    multi.setSocketFunction(null)
    multi.setTimerFunction(null)
    multi.setActivityFunction(null)
  }
  loop.unref()
  multi.setActivityFunction((active) => {
    if (!attached) return
    if (active) loop.ref()
    else loop.unref()
  })
  // Detached inside a callback, these are still called until the stack unwinds.
  multi.setTimerFunction((timeoutMs) => {
    if (attached) loop.setTimer(timeoutMs)
  })
  multi.setSocketFunction((fd, interest) => {
    if (!attached) return
    if (interest === Interest.REMOVE) poller.remove(fd)
    else if (hasExclusive && exclusiveFds.has(fd)) poller.add(fd, interest, { exclusive: true })
    else poller.modify(fd, interest)
  })
  return { detach, [Symbol.dispose]: detach }
}
