/**
 * Deadlines of many owners, each at most once: a 4-ary heap on typed arrays, addressed by small integer id. Four
 * children share a cache line of keys, so a sift touches half as many lines as a binary heap. Equal deadlines leave in
 * no particular, but always the same, order.
 */
const NOWHERE = -1

export class TimerHeap {
  #keys = new Float64Array(64)
  #ids = new Int32Array(64)
  #positions = new Int32Array(64).fill(NOWHERE)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** The earliest deadline, Infinity when there is none. */
  get next(): number {
    return this.#length === 0 ? Number.POSITIVE_INFINITY : (this.#keys[0] as number)
  }

  /** The owner of the earliest deadline, -1 when there is none. */
  get nextId(): number {
    return this.#length === 0 ? NOWHERE : (this.#ids[0] as number)
  }

  deadlineOf(id: number): number {
    const position = id < this.#positions.length ? (this.#positions[id] as number) : NOWHERE
    return position === NOWHERE ? Number.POSITIVE_INFINITY : (this.#keys[position] as number)
  }

  /** Arms, moves, or with Infinity disarms. */
  set(id: number, deadline: number): void {
    if (id >= this.#positions.length) this.#growPositions(id)
    const position = this.#positions[id] as number
    if (deadline === Number.POSITIVE_INFINITY) {
      if (position !== NOWHERE) this.#removeAt(position)
      return
    }
    if (position === NOWHERE) {
      if (this.#length === this.#keys.length) this.#growHeap()
      this.#siftUp(this.#length++, deadline, id)
    } else if (deadline < (this.#keys[position] as number)) this.#siftUp(position, deadline, id)
    else this.#siftDown(position, deadline, id)
  }

  clear(): void {
    this.#positions.fill(NOWHERE)
    this.#length = 0
  }

  #removeAt(position: number): void {
    this.#positions[this.#ids[position] as number] = NOWHERE
    const last = --this.#length
    if (position === last) return
    const key = this.#keys[last] as number
    const id = this.#ids[last] as number
    if (key < (this.#keys[position] as number)) this.#siftUp(position, key, id)
    else this.#siftDown(position, key, id)
  }

  #siftUp(position: number, key: number, id: number): void {
    const keys = this.#keys
    const ids = this.#ids
    const positions = this.#positions
    while (position > 0) {
      const parent = (position - 1) >> 2
      const parentKey = keys[parent] as number
      if (parentKey <= key) break
      const parentId = ids[parent] as number
      keys[position] = parentKey
      ids[position] = parentId
      positions[parentId] = position
      position = parent
    }
    keys[position] = key
    ids[position] = id
    positions[id] = position
  }

  #siftDown(position: number, key: number, id: number): void {
    const keys = this.#keys
    const ids = this.#ids
    const positions = this.#positions
    const length = this.#length
    for (;;) {
      const first = position * 4 + 1
      if (first >= length) break
      const end = first + 4 < length ? first + 4 : length
      let least = first
      let leastKey = keys[first] as number
      for (let child = first + 1; child < end; child++) {
        const childKey = keys[child] as number
        if (childKey < leastKey) {
          least = child
          leastKey = childKey
        }
      }
      if (leastKey >= key) break
      const leastId = ids[least] as number
      keys[position] = leastKey
      ids[position] = leastId
      positions[leastId] = position
      position = least
    }
    keys[position] = key
    ids[position] = id
    positions[id] = position
  }

  #growHeap(): void {
    const keys = new Float64Array(this.#keys.length * 2)
    keys.set(this.#keys)
    this.#keys = keys
    const ids = new Int32Array(this.#ids.length * 2)
    ids.set(this.#ids)
    this.#ids = ids
  }

  #growPositions(id: number): void {
    const positions = new Int32Array(Math.max(id + 1, this.#positions.length * 2)).fill(NOWHERE)
    positions.set(this.#positions)
    this.#positions = positions
  }
}
