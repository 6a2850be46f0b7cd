/**
 * Who is to be told when a signal aborts. However many requests share a signal, it has one listener, and none once the
 * last of them has ended.
 */

export interface Abortable {
  aborted(reason: unknown): void
}

const watches = new WeakMap<AbortSignal, AbortWatch>()

export class AbortWatch {
  readonly #signal: AbortSignal
  readonly #requests = new Set<Abortable>()

  private constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', this)
  }

  /** The signal has not aborted yet. Whoever joins leaves once. */
  static join(signal: AbortSignal, request: Abortable): AbortWatch {
    let watch = watches.get(signal)
    if (watch === undefined) {
      watch = new AbortWatch(signal)
      watches.set(signal, watch)
    }
    watch.#requests.add(request)
    return watch
  }

  leave(request: Abortable): void {
    this.#requests.delete(request)
    if (this.#requests.size === 0) this.#end()
  }

  handleEvent(): void {
    const requests = [...this.#requests]
    this.#requests.clear()
    this.#end()
    for (const request of requests) request.aborted(this.#signal.reason)
  }

  #end(): void {
    watches.delete(this.#signal)
    this.#signal.removeEventListener('abort', this)
  }
}
