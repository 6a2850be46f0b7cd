/**
 * What the decoders of forms tell, whatever the encoding: parts, their content in pieces, ends. Bytes are given with
 * `receive`, then `nextEvent` is called until it answers NEED_MORE; the events are the same for any cuts.
 */
import type { HeaderList } from './http1/header-list.ts'

export const FormEvent = { NEED_MORE: 0, PART: 1, DATA: 2, PART_END: 3, END: 4, ERROR: 5 } as const
export type FormEvent = (typeof FormEvent)[keyof typeof FormEvent]

export interface FormDecoder {
  /** After PART. */
  readonly name: string
  /** After PART; null: a plain field. */
  readonly filename: string | null
  /** After PART; '' when the part does not say. */
  readonly contentType: string
  /** After PART; empty in an encoding that has none. */
  readonly headers: HeaderList
  /** After DATA: a view that is valid until the next call. */
  readonly dataBytes: Uint8Array
  readonly dataStart: number
  readonly dataEnd: number
  /** After ERROR. */
  readonly reason: string
  receive(bytes: Uint8Array, start: number, end: number): void
  /** No more bytes will come. */
  receiveEof(): void
  nextEvent(): FormEvent
}
