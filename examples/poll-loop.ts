/**
 * A Multi in a loop written by hand: a Poller, one deadline, nothing else. Copy `plugIntoPollLoop`; the library's own
 * runPollLoop is this loop with batches and a wakeup.
 */
import { Interest, type Multi, Poller, type PollerBackend, SOCKET_TIMEOUT } from 'sockmux' // from 'sockmux'
import { demonstrate, isMain } from './demonstration.ts'
import type { Loop } from './loop.ts'

export function plugIntoPollLoop(multi: Multi, backend?: PollerBackend): Loop {
  const poller = new Poller(backend === undefined ? {} : { backend })
  let iterations = 0
  // Absolute: timerFunction speaks only when the deadline moves.
  let deadline = Number.POSITIVE_INFINITY
  const waitMs = (): number =>
    deadline === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(deadline - performance.now()))

  multi.setSocketFunction((fd, interest) => {
    if (interest === Interest.REMOVE) poller.remove(fd)
    else poller.modify(fd, interest) // adds what is not there
  })
  multi.setTimerFunction((timeoutMs) => {
    deadline = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs
  })

  return {
    name: `hand-written loop on Node ${process.versions.node} (${poller.backend})`,
    get iterations() {
      return iterations
    },
    run() {
      for (; multi.active; iterations++) {
        const count = poller.wait(waitMs())
        if (count === 0) multi.socketAction(SOCKET_TIMEOUT)
        for (let i = 0; i < count; i++) multi.socketAction(poller.ready[2 * i]!, poller.ready[2 * i + 1]!)
      }
    },
    close() {
      multi.setSocketFunction(null)
      multi.setTimerFunction(null)
      poller.close()
    },
  }
}

if (isMain(import.meta.url)) {
  await demonstrate({
    script: 'poll-loop.js',
    option: { name: 'backend', value: 'NAME', text: 'epoll, kqueue or poll; default: the best of this platform' },
    plug: (multi, backend) => plugIntoPollLoop(multi, backend as PollerBackend | undefined),
  })
}
