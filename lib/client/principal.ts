/**
 * On whose behalf the parts of a transfer's machine work: where they write what happened, what the user paused, and
 * whom they tell. Callbacks are no part of the settings, so that many transfers can share those.
 */
import { type Attachment, attachment } from '../multi/subject.ts'
import type { Flow } from './flow.ts'
import type { TransferInfo } from './transfer-info.ts'
import type { TransferOptions } from './transfer-options.ts'

type Callback<Name extends keyof TransferOptions> = NonNullable<TransferOptions[Name]> | null

/** Called as methods of this object. */
export interface TransferCallbacks {
  readonly onHead: Callback<'onHead'>
  readonly onInformational: Callback<'onInformational'>
  readonly onData: Callback<'onData'>
  readonly onTrailers: Callback<'onTrailers'>
  readonly onProgress: Callback<'onProgress'>
  readonly onDebug: Callback<'onDebug'>
}

export interface Principal {
  /** Its machine, while it runs. */
  readonly [attachment]: Attachment
  /** Of the present run. */
  readonly info: TransferInfo
  readonly flow: Flow
  readonly callbacks: TransferCallbacks
}

/** Those that the options name; `transferSettings` has checked them. */
export function callbacksOf(options: TransferOptions): TransferCallbacks {
  return {
    onHead: options.onHead ?? null,
    onInformational: options.onInformational ?? null,
    onData: options.onData ?? null,
    onTrailers: options.onTrailers ?? null,
    onProgress: options.onProgress ?? null,
    onDebug: options.onDebug ?? null,
  }
}
