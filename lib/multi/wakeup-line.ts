/**
 * The descriptor by which `poll` is woken, from any thread. Opened on first use; only `poll`, or who watches it, clears
 * it.
 */
import type { Kernel } from '../sys/kernel.ts'
import { systemError } from '../sys/system-error.ts'

export interface Waker {
  readonly fd: number
  readonly generation: number
}

export class WakeupLine {
  readonly #kernel: Kernel
  #waker: Waker | null = null

  constructor(kernel: Kernel) {
    this.#kernel = kernel
  }

  /** Throws a SystemError when the system has no descriptor left. */
  get waker(): Waker {
    this.#waker ??= this.#open()
    return this.#waker
  }

  wake(): void {
    const { fd, generation } = this.waker
    this.#kernel.wake(fd, generation)
  }

  /** True when it had been woken. */
  clear(): boolean {
    return this.#waker !== null && this.#kernel.clearWakeup(this.#waker.fd) === 1
  }

  close(): void {
    if (this.#waker !== null) this.#kernel.close(this.#waker.fd, this.#waker.generation)
    this.#waker = null
  }

  #open(): Waker {
    const fd = this.#kernel.openWakeup()
    if (fd < 0) throw systemError(this.#kernel, fd, 'eventfd')
    return { fd, generation: this.#kernel.generation(fd) }
  }
}
