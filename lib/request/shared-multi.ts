/**
 * The Multi of all requests that name no other: one per thread, made by the first of them and attached to Node's loop.
 * It keeps the process alive exactly while requests run; connections that idle do not.
 */
import type { Transfer } from '../client/transfer.ts'
import { attachToNodeLoop } from '../loops/node-loop.ts'
import { Multi } from '../multi/multi.ts'
import type { AnyMulti } from './request-transfer.ts'

let shared: AnyMulti | null = null

export function sharedMulti(): AnyMulti {
  if (shared !== null) return shared
  const multi = new Multi<Transfer>()
  attachToNodeLoop(multi)
  shared = multi
  return multi
}
