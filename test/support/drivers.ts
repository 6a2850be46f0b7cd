/**
 * The two loops that every test with real peers runs through, behind one function, each bounded: a transfer that hangs
 * fails its test with what it was doing instead of the test's time limit. `onStep` runs between two steps of the loop,
 * outside every callback, a few times per second at least.
 */
import { attachToNodeLoop, type Multi, runPollLoop } from '../../lib/index.ts'

export interface DriveOptions {
  /** Default: nothing runs any more. */
  until?: (() => boolean) | undefined
  onStep?: (() => void) | undefined
  limitMs?: number | undefined
}

export interface Driver {
  readonly name: string
  drive(multi: Multi, options?: DriveOptions): Promise<void>
}

const LIMIT_MS = 15_000
const STEP_MS = 5

function describeState(multi: Multi): string {
  return `${JSON.stringify(multi.stats)}, watched ${JSON.stringify(multi.waitFds())}, timeout ${multi.timeout()}`
}

const pollLoop: Driver = {
  name: 'own poll loop',
  async drive(multi, { until, onStep, limitMs = LIMIT_MS } = {}) {
    const isEnough = until ?? (() => multi.running === 0)
    const end = performance.now() + limitMs
    let isLate = false
    const isOver = (): boolean => {
      onStep?.()
      isLate = performance.now() > end
      return isLate || isEnough()
    }
    // The loop ends as well when nothing needs it any more; that may not be what is waited for.
    do runPollLoop(multi, { maxWaitMs: STEP_MS, until: isOver })
    while (!isOver())
    if (isLate) throw new Error(`not done within ${limitMs} ms: ${describeState(multi)}`)
  },
}

const nodeLoop: Driver = {
  name: "Node's loop",
  async drive(multi, { until, onStep, limitMs = LIMIT_MS } = {}) {
    const isEnough = until ?? (() => multi.running === 0)
    const attachment = attachToNodeLoop(multi)
    const end = performance.now() + limitMs
    try {
      while (!isEnough()) {
        if (performance.now() > end) throw new Error(`not done within ${limitMs} ms: ${describeState(multi)}`)
        await new Promise((resolve) => setTimeout(resolve, STEP_MS))
        onStep?.()
      }
    } finally {
      attachment.detach()
    }
  },
}

export const drivers: readonly Driver[] = [pollLoop, nodeLoop]
