/** undici's `dispatch` on a Pool: its fastest way, by callbacks. */
import { type Dispatcher, Pool } from 'undici'
import type { Client, ClientShape } from '../client-shape.ts'

/** One for all requests: it keeps nothing of them. */
class Handler implements Dispatcher.DispatchHandler {
  readonly #done: (isGood: boolean) => void
  #failed = 0

  constructor(done: (isGood: boolean) => void) {
    this.#done = done
  }

  onRequestStart(): void {}

  onResponseStart(_controller: unknown, statusCode: number): void {
    if (statusCode !== 200) this.#failed++
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    const isGood = this.#failed === 0
    this.#failed = 0
    this.#done(isGood)
  }

  onResponseError(): void {
    this.#done(false)
  }
}

export function open({ url, parallel, connections, fresh }: ClientShape): Client {
  const { origin, pathname } = new URL(url)
  // Without pipelining undici keeps no connection.
  const pool = new Pool(origin, { connections, pipelining: fresh ? 0 : 1 })
  const options: Dispatcher.DispatchOptions = { path: pathname, method: 'GET' }
  return {
    run: (total) =>
      new Promise((resolve) => {
        let started = 0
        let done = 0
        let failed = 0
        if (total === 0) resolve(0)
        const handler = new Handler((isGood) => {
          if (!isGood) failed++
          if (++done === total) resolve(failed)
          else if (started < total) {
            started++
            pool.dispatch(options, handler)
          }
        })
        while (started < Math.min(parallel, total)) {
          started++
          pool.dispatch(options, handler)
        }
      }),
    close: () => pool.close(),
  }
}
