/**
 * A transfer that tells its owner of its end, whoever drives its Multi: it leaves no message for `infoRead` and needs no
 * notifyFunction, so that it can share a Multi with transfers of the user's own.
 */
import { TransferError } from '../base/errors.ts'
import { Transfer } from '../client/transfer.ts'
import type { TransferOptions } from '../client/transfer-options.ts'
import type { Host } from '../multi/host.ts'
import type { Multi } from '../multi/multi.ts'
import { ended, release } from '../multi/subject.ts'

export type AnyMulti = Multi<Transfer>

export interface TransferOwner {
  /** On the engine's stack; once or twice, and the first counts. null: all is well. */
  ended(error: TransferError | null): void
}

export class RequestTransfer extends Transfer {
  readonly #owner: TransferOwner

  constructor(owner: TransferOwner, options: TransferOptions) {
    super(options)
    this.#owner = owner
  }

  [ended](error: TransferError | null): void {
    this.#owner.ended(error)
  }

  /** It left its Multi; before it ended, because somebody removed it or closed the Multi. */
  override [release](host: Host): void {
    super[release](host)
    const what = host.closed ? 'its Multi was closed' : 'it was removed from its Multi'
    this.#owner.ended(new TransferError('ABORTED_BY_CALLBACK', `the request ended early: ${what}`))
  }
}
