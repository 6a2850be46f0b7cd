/** A first-in first-out queue on a circular array: push and shift are O(1), memory follows the longest it has been. */
export class Ring<T> {
  #items: (T | undefined)[] = new Array(16)
  #head = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  push(item: T): void {
    if (this.#length === this.#items.length) this.#grow()
    this.#items[(this.#head + this.#length) & (this.#items.length - 1)] = item
    this.#length++
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#items.length - 1)
    this.#length--
    return item
  }

  peek(): T | undefined {
    return this.#items[this.#head]
  }

  clear(): void {
    this.#items = new Array(16)
    this.#head = 0
    this.#length = 0
  }

  #grow(): void {
    const items = this.#items
    const mask = items.length - 1
    const grown: (T | undefined)[] = new Array(items.length * 2)
    for (let i = 0; i < this.#length; i++) grown[i] = items[(this.#head + i) & mask]
    this.#items = grown
    this.#head = 0
  }
}
