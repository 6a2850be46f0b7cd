/** The multiplexer with the names of its subjects: `multi/` knows no protocol, so it cannot name them itself. */
import type { Message as AnyMessage } from '../multi/message-queue.ts'
import { Multi as AnyMulti } from '../multi/multi.ts'
import type { MultiOptions as AnyMultiOptions } from '../multi/multi-options.ts'
import type { Transfer } from './transfer.ts'

export type Multi = AnyMulti<Transfer>
export const Multi: new (options?: MultiOptions) => Multi = AnyMulti<Transfer>
export type MultiOptions = AnyMultiOptions<Transfer>
export type Message = AnyMessage<Transfer>
