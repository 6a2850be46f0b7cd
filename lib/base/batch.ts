/**
 * What is collected to be dealt with all at once, again and again: an array that keeps its memory. Cutting an Array
 * short (`length = 0`) is a call into the runtime, which costs more than all that is usually in it.
 */
export class Batch<T> {
  readonly #items: (T | undefined)[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  push(item: T): void {
    this.#items[this.#length++] = item
  }

  /** Once per index below `length`: nothing is kept of what was taken. */
  take(index: number): T {
    const item = this.#items[index] as T
    this.#items[index] = undefined
    return item
  }

  /** After everything was taken. */
  begin(): void {
    this.#length = 0
  }

  clear(): void {
    for (let index = 0; index < this.#length; index++) this.#items[index] = undefined
    this.#length = 0
  }
}
