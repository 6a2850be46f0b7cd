/**
 * The options of `request` and what they come to: those of a Transfer, without the callbacks that `request` answers
 * itself, and a few of its own. Misuse is a TypeError or RangeError that names the option and the value.
 */
import { show, wrongType } from '../base/options.ts'
import type { BodyFunction } from '../client/body-function.ts'
import { headerPairs } from '../client/header-pairs.ts'
import { checkedSettings } from '../client/transfer.ts'
import type { TransferOptions } from '../client/transfer-options.ts'
import type { TransferSettings } from '../client/transfer-settings.ts'
import type { WebSocketOptions } from '../client/websocket-options.ts'
import { Multi } from '../multi/multi.ts'
import type { HeaderPairs } from '../wire/http1/header-list.ts'
import type { AnyMulti } from './request-transfer.ts'
import type { BodyPieces } from './upload-source.ts'

type OwnedOption = 'url' | 'body' | 'onHead' | 'onData' | 'onTrailers' | 'connectOnly' | 'data'

export interface RequestOptions extends Omit<TransferOptions, OwnedOption | keyof WebSocketOptions> {
  /**
   * Bytes (not copied: leave them alone until the request ended), a string (UTF-8), a callback as Transfer's, or an
   * iterable, async iterable or web ReadableStream of bytes and strings, which is read as fast as the peer takes it.
   */
  body?: Uint8Array | string | BodyFunction | BodyPieces | null
  /** A body as JSON, with its Content-Type unless the headers have one. */
  json?: unknown
  /** Aborts the request, with the signal's reason. However many requests share it, it has one listener. */
  signal?: AbortSignal | null
  /** Which Multi runs the request; its owner drives it. Default: one per thread, on Node's loop. */
  multi?: AnyMulti
}

export interface PreparedRequest {
  readonly transferOptions: TransferOptions
  /** What the options come to; null with `pieces`. Requests that ask the same may share them. */
  readonly settings: TransferSettings | null
  /** A body that comes in pieces; not among the transfer's options yet. */
  readonly pieces: BodyPieces | null
}

const REFUSED: ReadonlyMap<string, string> = new Map([
  ['url', 'it is the first argument'],
  ['onHead', 'the response has status and headers'],
  ['onData', 'read the body of the response'],
  ['onTrailers', 'the response has trailers'],
  ['connectOnly', 'a raw transfer has no response; use a Transfer'],
  ['data', 'there is no Transfer to find it on'],
])
/** Callbacks that stay the user's; they are called on the engine's stack, as Transfer's are. */
const CALLBACKS: ReadonlySet<string> = new Set(['onInformational', 'onProgress', 'onDebug'])
/** What a Transfer may do and a response is no answer to. */
const OTHER_SCHEMES = /^\s*(?:wss?|tcp):/i
const JSON_FIELD = ['Content-Type', 'application/json'] as const

/** What belongs to the call alone: that there are options, and who runs and who aborts the request. */
export function checkCall(options: RequestOptions): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`request options must be an object, not ${show(options)}`)
  }
  const { multi, signal } = options
  if (multi !== undefined && !(multi instanceof Multi)) throw wrongType('multi', 'a Multi', multi)
  if (signal === undefined || signal === null || signal instanceof AbortSignal) return
  throw wrongType('signal', 'an AbortSignal', signal)
}

/** Throws what is wrong with the other options. */
export function prepareRequest(url: unknown, options: RequestOptions): PreparedRequest {
  const transferOptions: TransferOptions = { url: checkUrl(url) }
  let pieces: BodyPieces | null = null
  for (const [key, value] of Object.entries(options)) {
    switch (key) {
      case 'signal':
      case 'multi':
      case 'json':
        break
      case 'body':
        if (isPieces(value)) pieces = value
        else transferOptions.body = value as BodyFunction
        break
      default:
        refuseOwned(key)
        ;(transferOptions as unknown as Record<string, unknown>)[key] = value
    }
  }
  if (options.json !== undefined) addJson(transferOptions, options)
  return { transferOptions, settings: pieces === null ? checkedSettings(transferOptions) : null, pieces }
}

function refuseOwned(key: string): void {
  const reason = REFUSED.get(key)
  const isCallback = /^on[A-Z]/.test(key) && !CALLBACKS.has(key)
  if (reason === undefined && !isCallback) return
  throw new TypeError(`request options: option ${key} is not for request: ${reason ?? 'use a Transfer'}`)
}

function checkUrl(url: unknown): string {
  const text = url instanceof URL ? url.href : url
  if (typeof text !== 'string') throw new TypeError(`request: the url must be a string or a URL, not ${show(url)}`)
  if (OTHER_SCHEMES.test(text)) throw new TypeError(`request: the url must be one of http or https, not ${show(text)}`)
  return text
}

function isPieces(value: unknown): value is BodyPieces {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false
  return Symbol.asyncIterator in value || Symbol.iterator in value
}

function addJson(into: TransferOptions, { json, body, form, bodyLength, headers }: RequestOptions): void {
  if (body !== undefined && body !== null) throw wrongType('body', 'left out when there is json', body)
  if (form !== undefined) throw wrongType('form', 'left out when there is json', form)
  if (bodyLength !== undefined) throw wrongType('bodyLength', 'left out when there is json', bodyLength)
  const text: unknown = JSON.stringify(json)
  if (typeof text !== 'string') throw wrongType('json', 'a value that JSON can express', json)
  into.body = text
  const pairs = headerPairs('headers', headers ?? [])
  const isGiven = pairs.some(([name]) => name.toLowerCase() === 'content-type')
  into.headers = (isGiven ? pairs : [...pairs, JSON_FIELD]) as HeaderPairs
}
