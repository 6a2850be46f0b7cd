/** The fields with which HTTP/1.1 turns into WebSocket (RFC 6455 §4), for both roles. Values are field values. */
import { createHash } from 'node:crypto'
import type { RandomSource } from './mask.ts'

export const WEBSOCKET_VERSION = '13'

const KEY_BYTES = 16
/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** ; name, ; name=value, ; name="value" */
const PARAMETER = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:\s*=\s*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|"([^"\\]*)"))?$/

export function newKey(random: RandomSource): string {
  return Buffer.from(random(KEY_BYTES)).toString('base64')
}

export function isKey(text: string): boolean {
  return /^[A-Za-z0-9+/]{22}==$/.test(text) && Buffer.from(text, 'base64').length === KEY_BYTES
}

export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}${GUID}`).digest('base64')
}

export function isProtocolName(text: string): boolean {
  return TOKEN.test(text)
}

export interface Extension {
  readonly name: string
  /** '' for a parameter without a value. */
  readonly parameters: readonly (readonly [name: string, value: string])[]
}

/** Null when it is not a list of extensions (§9.1). */
export function parseExtensions(text: string): Extension[] | null {
  const extensions: Extension[] = []
  for (const item of text.split(',')) {
    if (item.trim() === '') continue
    const [name, ...rest] = item.split(';').map((part) => part.trim())
    if (name === undefined || !TOKEN.test(name)) return null
    const parameters: (readonly [string, string])[] = []
    for (const part of rest) {
      const match = PARAMETER.exec(part)
      if (match === null) return null
      const value = match[2] ?? match[3] ?? ''
      // A quoted value must be a token when it is unquoted.
      if (match[3] !== undefined && !TOKEN.test(value)) return null
      parameters.push([match[1] as string, value])
    }
    extensions.push({ name, parameters })
  }
  return extensions
}

/** Whether a field that is a list, such as Connection or Upgrade, has that item, in any case. */
export function listHas(values: readonly string[], item: string): boolean {
  return values.some((value) => value.split(',').some((part) => part.trim().toLowerCase() === item))
}
