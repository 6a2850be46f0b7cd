/**
 * Completions, in the order they happened, until the user reads them. A message whose transfer is removed is dropped
 * (curl's rule), in O(1): it stays behind as a husk.
 */
import type { TransferCode, TransferError } from '../base/errors.ts'
import { Ring } from '../base/ring.ts'

/** What `infoRead` returns. */
export interface Message<TransferType extends object> {
  readonly kind: 'done'
  readonly transfer: TransferType
  /** curl's CURLcode; 0 is success. */
  readonly code: TransferCode
  readonly error: TransferError | null
  /** Messages still waiting behind this one. */
  readonly remaining: number
}

export class Completion<TransferType extends object> {
  readonly transfer: TransferType
  readonly error: TransferError | null
  dropped = false

  constructor(transfer: TransferType, error: TransferError | null) {
    this.transfer = transfer
    this.error = error
  }
}

export class MessageQueue<TransferType extends object> {
  readonly #completions = new Ring<Completion<TransferType>>()
  #length = 0

  get length(): number {
    return this.#length
  }

  /** True when the queue was empty before. */
  push(completion: Completion<TransferType>): boolean {
    this.#completions.push(completion)
    return this.#length++ === 0
  }

  drop(completion: Completion<TransferType>): void {
    if (completion.dropped) return
    completion.dropped = true
    this.#length--
  }

  read(): Message<TransferType> | undefined {
    for (;;) {
      const completion = this.#completions.shift()
      if (completion === undefined) return undefined
      if (completion.dropped) continue
      completion.dropped = true
      this.#length--
      const { transfer, error } = completion
      return { kind: 'done', transfer, code: error === null ? 0 : error.number, error, remaining: this.#length }
    }
  }

  clear(): void {
    this.#completions.clear()
    this.#length = 0
  }
}
