/**
 * A transfer that tells its owner of its end, whoever drives its Multi: it leaves no message for `infoRead` and needs
 * no notifyFunction, so that it can share a Multi with transfers of the user's own.
 */
import type { TransferError } from '../base/errors.ts'
import type { TransferCallbacks } from '../client/principal.ts'
import { Transfer } from '../client/transfer.ts'
import type { TransferOptions } from '../client/transfer-options.ts'
import type { TransferSettings } from '../client/transfer-settings.ts'
import type { Host } from '../multi/host.ts'
import type { Multi } from '../multi/multi.ts'
import { ended, release } from '../multi/subject.ts'

export type AnyMulti = Multi<Transfer, object>

export interface TransferOwner {
  /** It came to its end, on the engine's stack. null: all is well. */
  ended(error: TransferError | null): void
  /** It left its Multi: after its end, or because somebody removed it or closed the Multi. */
  left(multiClosed: boolean): void
}

export class RequestTransfer extends Transfer {
  readonly #owner: TransferOwner

  constructor(owner: TransferOwner & TransferCallbacks, options: TransferOptions, settings: TransferSettings) {
    super(options, settings, owner)
    this.#owner = owner
  }

  [ended](error: TransferError | null): void {
    this.#owner.ended(error)
  }

  override [release](host: Host): void {
    super[release](host)
    this.#owner.left(host.closed)
  }
}
