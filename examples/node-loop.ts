/**
 * A Multi in Node's own loop, beside timers, promises and servers of the same program. Copy `plugIntoNodeLoop`, which
 * is one call: a descriptor cannot be watched from JavaScript, so the library does it, with one handle for all of them.
 */
import { performance } from 'node:perf_hooks'
import { attachToNodeLoop, type Multi } from 'sockmux' // in your program: from 'sockmux'
import { demonstrate, isMain } from './demonstration.ts'
import type { Loop } from './loop.ts'

export function plugIntoNodeLoop(multi: Multi): Loop {
  const before = turns()
  const attachment = attachToNodeLoop(multi) // sets socketFunction and timerFunction
  return {
    name: `Node ${process.versions.node} (libuv ${process.versions.uv})`,
    get iterations() {
      const now = turns()
      return now === null || before === null ? null : now - before
    },
    close() {
      attachment.detach()
    },
  }
}

/** Node tells since 20.18. */
function turns(): number | null {
  return performance.nodeTiming.uvMetricsInfo?.loopCount ?? null
}

if (isMain(import.meta.url)) await demonstrate({ script: 'node-loop.js', plug: plugIntoNodeLoop })
