/**
 * A Multi in a loop around poll(2), as programs have it that keep no set of descriptors: before each wait the Multi is
 * asked what to wait for, and how long. Copy `plugIntoSelectLoop`; descriptors of your own stand beside those of the
 * Multi.
 */
import { kernel, type Multi, POLL_STRIDE, SOCKET_TIMEOUT } from 'sockmux' // in your program: from 'sockmux'
import { demonstrate, isMain } from './demonstration.ts'
import type { Loop } from './loop.ts'

export function plugIntoSelectLoop(multi: Multi): Loop {
  let iterations = 0
  return {
    name: `loop around poll(2) on Node ${process.versions.node}`,
    get iterations() {
      return iterations
    },
    run() {
      for (; multi.active; iterations++) {
        const fds = multi.waitFds()
        const entries = Int32Array.from(fds.flatMap(({ fd, interest }) => [fd, interest, 0]))
        const count = kernel.poll(entries, fds.length, multi.timeout())
        // Nothing became ready, or a signal came: whatever is due is done.
        if (count <= 0) multi.socketAction(SOCKET_TIMEOUT)
        for (let i = 0; i < entries.length; i += POLL_STRIDE) {
          if (entries[i + 2] !== 0) multi.socketAction(entries[i]!, entries[i + 2]!)
        }
      }
    },
    close() {},
  }
}

if (isMain(import.meta.url)) await demonstrate({ script: 'select-loop.js', plug: plugIntoSelectLoop })
