/**
 * The options of WebSocket transfers, checked and made ready, and the fields that ask for the upgrade; all but its key,
 * which each handshake draws for itself.
 */
import { type Check, isBoolean, isDuration, isFunction, isInteger, show, wrongType } from '../base/options.ts'
import type { WebSocketSessionSettings } from '../connection/websocket-terms.ts'
import { defaults } from '../sys/defaults.ts'
import { InflateFormat } from '../sys/inflate.ts'
import type { ParsedUrl } from '../wire/url.ts'
import { DEFLATE_OFFER } from '../wire/websocket/deflate-extension.ts'
import { isProtocolName, WEBSOCKET_VERSION } from '../wire/websocket/handshake.ts'
import type { RandomSource } from '../wire/websocket/mask.ts'
import { MESSAGE_BYTES_MAX } from '../wire/websocket/message-reader.ts'
import type { TransferOptions } from './transfer-options.ts'
import type { WebSocketOptions } from './websocket-options.ts'

const QUEUED_BYTES_MAX = 16 * 1024 * 1024
const CLOSE_TIMEOUT_MS = 5000
/** Memory of one message. */
const BYTES_LIMIT = 2 ** 31
const FRAME_BYTES_LIMIT = Number.MAX_SAFE_INTEGER
/** Fields that the upgrade is made of. */
const OWN_FIELDS = /^(?:upgrade|connection|sec-websocket-.*)$/i

export interface WebSocketSettings extends WebSocketSessionSettings {
  readonly protocols: readonly string[]
  readonly offersDeflate: boolean
  readonly random: RandomSource
}

const isProtocols: Check = (option, value) => {
  if (!Array.isArray(value)) throw wrongType(option, 'an array of strings', value)
  for (const name of value) {
    if (typeof name !== 'string' || !isProtocolName(name)) throw wrongType(option, 'names that are tokens', name)
  }
  if (new Set(value).size < value.length) throw wrongType(option, 'names that differ', value)
}

export const WEBSOCKET_CHECKS: Readonly<Record<keyof WebSocketOptions, Check>> = {
  protocols: isProtocols,
  perMessageDeflate: isBoolean,
  onOpen: isFunction,
  onMessage: isFunction,
  onFrame: isFunction,
  onPing: isFunction,
  onPong: isFunction,
  onSendable: isFunction,
  receiveFrames: isBoolean,
  noAutoPong: isBoolean,
  maxMessageBytes: isInteger(1, BYTES_LIMIT),
  maxFrameBytes: isInteger(1, FRAME_BYTES_LIMIT),
  maxQueuedBytes: isInteger(1, BYTES_LIMIT),
  closeTimeoutMs: isDuration,
}
const CALLBACKS = ['onMessage', 'onFrame', 'onPing', 'onPong', 'onSendable'] as const
/** What an upgrade cannot have. */
const NOT_WITH_UPGRADE = ['method', 'body', 'form', 'followRedirects'] as const

/** Null for other protocols. */
export function webSocketSettings(
  options: TransferOptions,
  url: ParsedUrl,
  random: RandomSource,
): WebSocketSettings | null {
  if (url.scheme !== 'ws' && url.scheme !== 'wss') {
    const foreign = Object.keys(WEBSOCKET_CHECKS).find((name) => options[name as keyof WebSocketOptions] !== undefined)
    if (foreign !== undefined)
      throw new TypeError(`option ${foreign} needs a url of ws: or wss:, not ${show(url.href)}`)
    return null
  }
  refuseOthers(options)
  const isManual = options.connectOnly ?? false
  const tellsFrames = options.receiveFrames ?? options.onFrame !== undefined
  return {
    role: 'client',
    protocols: [...(options.protocols ?? [])],
    offersDeflate:
      !tellsFrames && (options.perMessageDeflate ?? true) && defaults.inflateProvider.knows(InflateFormat.RAW),
    tellsFrames,
    isManual,
    answersPings: !(options.noAutoPong ?? false),
    messageBytesMax: options.maxMessageBytes ?? MESSAGE_BYTES_MAX,
    frameBytesMax: options.maxFrameBytes ?? MESSAGE_BYTES_MAX,
    queuedBytesMax: options.maxQueuedBytes ?? QUEUED_BYTES_MAX,
    closeTimeoutMs: options.closeTimeoutMs ?? CLOSE_TIMEOUT_MS,
    random,
    onOpen: options.onOpen ?? null,
    onMessage: options.onMessage ?? null,
    onFrame: options.onFrame ?? null,
    onPing: options.onPing ?? null,
    onPong: options.onPong ?? null,
    onSendable: options.onSendable ?? null,
  }
}

function refuseOthers(options: TransferOptions): void {
  for (const name of NOT_WITH_UPGRADE) {
    if (options[name]) throw wrongType(name, 'left out of a WebSocket transfer', options[name])
  }
  const { connectOnly = false, onFrame, onMessage, receiveFrames, perMessageDeflate } = options
  const told = CALLBACKS.find((name) => options[name] !== undefined)
  if (connectOnly && told !== undefined)
    throw wrongType(told, 'left out with connectOnly: receive instead', options[told])
  if (!connectOnly && receiveFrames) throw wrongType('receiveFrames', 'left out without connectOnly', receiveFrames)
  if (onFrame !== undefined && onMessage !== undefined) throw wrongType('onMessage', 'left out with onFrame', onMessage)
  if (perMessageDeflate && (onFrame !== undefined || receiveFrames)) {
    throw wrongType('perMessageDeflate', 'left out when frames are told', perMessageDeflate)
  }
}

type Fields = readonly (readonly [name: string, value: string | null])[]

/** The user's fields behind those of the upgrade. */
export function withUpgradeFields(given: Fields, settings: WebSocketSettings): Fields {
  const own = given.find(([name]) => OWN_FIELDS.test(name))
  if (own !== undefined) throw wrongType(`headers['${own[0]}']`, 'left out of a WebSocket transfer', own[1])
  const fields: [string, string][] = [
    ['Upgrade', 'websocket'],
    ['Connection', 'Upgrade'],
    ['Sec-WebSocket-Version', WEBSOCKET_VERSION],
  ]
  if (settings.protocols.length > 0) fields.push(['Sec-WebSocket-Protocol', settings.protocols.join(', ')])
  if (settings.offersDeflate) fields.push(['Sec-WebSocket-Extensions', DEFLATE_OFFER])
  return [...fields, ...given]
}
