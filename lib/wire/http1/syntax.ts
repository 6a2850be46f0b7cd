/**
 * The grammar of RFC 9110 and 9112 as predicates on text, for what is about to be sent. Text is Latin-1: a character
 * is a byte on the wire.
 */

const DELIMITERS = '"(),/:;<=>?@[\\]{}'

/** 1 for the characters of a token (RFC 9110 §5.6.2). */
const TOKEN = new Uint8Array(256)
for (let code = 33; code < 127; code++) TOKEN[code] = DELIMITERS.includes(String.fromCharCode(code)) ? 0 : 1

export function isTokenCode(code: number): boolean {
  return code < 256 && TOKEN[code] === 1
}

/** HTAB, SP, visible ASCII and 0x80-0xFF: no CR, LF, NUL or other control character. */
export function isFieldCode(code: number): boolean {
  return (code >= 32 && code < 256 && code !== 127) || code === 9
}

/** Method, field name. */
export function isToken(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (!isTokenCode(text.charCodeAt(index))) return false
  return text.length > 0
}

export function isFieldValue(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (!isFieldCode(text.charCodeAt(index))) return false
  return true
}

/** Request target: visible ASCII without white space, in any of the four forms. */
export function isTarget(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code <= 32 || code >= 127) return false
  }
  return text.length > 0
}
