/**
 * What the program wants done before a server is stopped: last registered, first called, each awaited if it returns a
 * promise. One that throws or rejects stops none of the others. Without promises it is all done within one call.
 */
export class ClosingCallbacks {
  readonly #callbacks: (() => unknown)[] = []
  readonly #failed: (error: unknown) => void

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed
  }

  add(callback: () => unknown): void {
    this.#callbacks.push(callback)
  }

  /** Calls `done` at the end: at once, or from a microtask when there was something to await. */
  run(done: () => void): void {
    for (;;) {
      const callback = this.#callbacks.pop()
      if (callback === undefined) break
      let result: unknown
      try {
        result = callback()
      } catch (thrown) {
        this.#failed(thrown)
      }
      if (!isThenable(result)) continue
      result.then(
        () => this.run(done),
        (error: unknown) => {
          this.#failed(error)
          this.run(done)
        },
      )
      return
    }
    done()
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
}
