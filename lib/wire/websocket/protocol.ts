/**
 * The words of RFC 6455: opcodes, close codes, roles, and what is wrong with bytes that break its rules. A fault
 * carries the code with which the connection is to be closed.
 */

export const Opcode = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const
export type Opcode = (typeof Opcode)[keyof typeof Opcode]

/** Close codes that this library sends or reports by itself (RFC 6455 §7.4.1). */
export const CloseCode = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  PROTOCOL_ERROR: 1002,
  /** A close frame without a code. Never on the wire. */
  NO_STATUS: 1005,
  /** The connection ended without a close frame. Never on the wire. */
  ABNORMAL: 1006,
  INVALID_DATA: 1007,
  TOO_BIG: 1009,
} as const

/** Which end of the connection this is: frames of a client are masked, those of a server are not. */
export type Role = 'client' | 'server'

export interface WebSocketFault {
  readonly closeCode: number
  readonly message: string
}

/** Payload of a control frame (§5.5). */
export const CONTROL_BYTES_MAX = 125
/** A control payload without its close code. */
export const CLOSE_REASON_BYTES_MAX: number = CONTROL_BYTES_MAX - 2

/** First byte of a frame. */
export const FINAL_BIT = 0x80
/** In the first frame of a message: it is compressed (RFC 7692 §6). */
export const COMPRESSED_BIT = 0x40
export const RESERVED_BITS = 0x30

/** Codes that may stand in a close frame: those registered for it, and those for libraries and applications. */
export function isCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014)
}
