/**
 * The multiplexer with the names of its subjects: `multi/` knows no protocol, so it cannot name them itself. Transfers
 * are added; listeners and connections come to it by their constructors.
 */
import type { Transfer } from './client/transfer.ts'
import type { Message as AnyMessage } from './multi/message-queue.ts'
import { Multi as AnyMulti } from './multi/multi.ts'
import type { MultiOptions as AnyMultiOptions } from './multi/multi-options.ts'
import type { Connection } from './server/connection/connection.ts'
import type { Listener } from './server/listening/listener.ts'
import type { ServerListener } from './server/listening/server-listener.ts'

/** What a descriptor is watched for; null for what belongs to none of them. */
export type MultiSubject = Transfer | Listener | ServerListener | Connection
export type Multi = AnyMulti<Transfer, MultiSubject>
export const Multi: new (options?: MultiOptions) => Multi = AnyMulti<Transfer, MultiSubject>
export type MultiOptions = AnyMultiOptions<MultiSubject>
export type Message = AnyMessage<Transfer>
