/**
 * permessage-deflate (RFC 7692): the words of its negotiation for both roles, and the compressing of a message.
 * Messages are compressed each by itself, so a connection holds no compressor; those of the peer may refer to earlier
 * ones.
 */
import { constants, deflateRawSync } from 'node:zlib'
import type { Extension } from './handshake.ts'

const NAME = 'permessage-deflate'
const CLIENT_NO_CONTEXT = 'client_no_context_takeover'
const SERVER_NO_CONTEXT = 'server_no_context_takeover'
const CLIENT_BITS = 'client_max_window_bits'
const SERVER_BITS = 'server_max_window_bits'
const WINDOW_BITS_MAX = 15
/** zlib has no bare deflate with a window of 256 bytes. */
const WINDOW_BITS_MIN = 9

/** What a connection has agreed on, as one end sees it. */
export interface DeflateTerms {
  /** Messages of this end must not need more. */
  readonly windowBits: number
  /** Messages of the peer may refer to earlier ones. */
  readonly peerKeepsContext: boolean
}

/** What a client asks for: the server may compress as it likes, and learns that it needs to keep nothing. */
export const DEFLATE_OFFER: string = `${NAME}; ${CLIENT_NO_CONTEXT}; ${CLIENT_BITS}`

/** Terms, null when the server does not compress, or what is wrong with its answer. */
export function readDeflateAnswer(extensions: readonly Extension[]): DeflateTerms | null | string {
  const [only, second] = extensions
  if (only === undefined) return null
  if (only.name !== NAME || second !== undefined) return `extension ${(second ?? only).name}, which was not offered`
  const parameters = readParameters(only)
  if (parameters === null || parameters.get(CLIENT_BITS) === 0 || parameters.get(SERVER_BITS) === 0) {
    return `invalid parameters of ${NAME}`
  }
  return {
    windowBits: parameters.get(CLIENT_BITS) ?? WINDOW_BITS_MAX,
    peerKeepsContext: !parameters.has(SERVER_NO_CONTEXT),
  }
}

/** A server's choice among the offers: its answer and the terms, or null to go without. */
export function answerDeflateOffers(
  extensions: readonly Extension[],
): { readonly answer: string; readonly terms: DeflateTerms } | null {
  for (const offer of extensions) {
    if (offer.name !== NAME) continue
    const parameters = readParameters(offer)
    const bits = parameters?.get(SERVER_BITS) ?? WINDOW_BITS_MAX
    if (parameters === null || bits < WINDOW_BITS_MIN) continue
    const clientKeepsNothing = parameters.has(CLIENT_NO_CONTEXT)
    let answer = `${NAME}; ${SERVER_NO_CONTEXT}`
    if (clientKeepsNothing) answer += `; ${CLIENT_NO_CONTEXT}`
    if (parameters.has(SERVER_BITS)) answer += `; ${SERVER_BITS}=${bits}`
    return { answer, terms: { windowBits: bits, peerKeepsContext: !clientKeepsNothing } }
  }
  return null
}

/** By name; window bits as a number, 0 when they have no value. Null when they are not those of the extension. */
function readParameters({ parameters }: Extension): Map<string, number> | null {
  const found = new Map<string, number>()
  for (const [name, value] of parameters) {
    if (found.has(name)) return null
    if (name === CLIENT_NO_CONTEXT || name === SERVER_NO_CONTEXT) {
      if (value !== '') return null
      found.set(name, 1)
    } else if (name === CLIENT_BITS || name === SERVER_BITS) {
      if (value === '' && name === SERVER_BITS) return null
      if (value !== '' && !/^(?:8|9|1[0-5])$/.test(value)) return null
      found.set(name, Number(value))
    } else return null
  }
  return found
}

/** Null when it does not become shorter; then it is sent as it is. */
export function deflateMessage(message: Uint8Array, terms: DeflateTerms): Uint8Array | null {
  if (terms.windowBits < WINDOW_BITS_MIN) return null
  const { windowBits } = terms
  const whole = deflateRawSync(message, { windowBits, finishFlush: constants.Z_SYNC_FLUSH })
  // The empty block at the end is understood (§7.2.1).
  const deflated = whole.subarray(0, whole.length - 4)
  return deflated.length < message.length ? deflated : null
}
