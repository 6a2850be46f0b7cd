/**
 * How strictly requests are read, by libmicrohttpd's seven levels: 3 is the strictest, 0 reads what RFC 9112 lets a
 * server read, below that a head is repaired first, as a copy: only what can be repaired to one reading. What tells two
 * readers different lengths is refused at every level, and so is what the levels below do not name.
 */
import type { HeadGrammar } from './head-reader.ts'
import { headGrammar } from './head-reader.ts'
import { MessageType } from './llhttp.ts'

const TAB = 9
const LF = 10
const VT = 11
const FF = 12
const CR = 13
const SPACE = 32
const COLON = 58

/** Empty lines before a request line, in bytes: none, one, several, as many as there is room for. */
const BLANK_BYTES = { none: 0, one: 2, several: 16 } as const

const grammars = new Map<number, HeadGrammar>()

/** Shared by all readers of one level. */
export function requestGrammar(discipline: number): HeadGrammar {
  let grammar = grammars.get(discipline)
  if (grammar === undefined) {
    grammar = {
      ...headGrammar(MessageType.REQUEST, discipline > 0),
      blankBytesMax: blankBytesMax(discipline),
      repair: discipline > 0 ? null : (head) => repairHead(head, discipline),
    }
    grammars.set(discipline, grammar)
  }
  return grammar
}

function blankBytesMax(discipline: number): number {
  if (discipline > 1) return BLANK_BYTES.none
  if (discipline === 1) return BLANK_BYTES.one
  return discipline > -3 ? BLANK_BYTES.several : Number.POSITIVE_INFINITY
}

/** A head with its empty line, as the strict grammar spells it, where the level allows the difference. */
function repairHead(head: Uint8Array, discipline: number): Uint8Array {
  const lines = splitLines(head)
  const out: Buffer[] = [repairRequestLine(replaceControls(lines[0] as Buffer, discipline), discipline), CRLF]
  for (const line of lines.slice(1)) {
    const field = repairField(replaceControls(line, discipline), discipline)
    if (field !== null) out.push(field, CRLF)
  }
  out.push(CRLF)
  return Buffer.concat(out)
}

const CRLF = Buffer.from('\r\n', 'latin1')

/** Without their line ends and the empty line. */
function splitLines(head: Uint8Array): Buffer[] {
  const lines: Buffer[] = []
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length)
  for (let start = 0; start < bytes.length; ) {
    const feed = bytes.indexOf(LF, start)
    const end = feed > start && bytes[feed - 1] === CR ? feed - 1 : feed
    if (end > start) lines.push(bytes.subarray(start, end))
    start = feed + 1
  }
  return lines
}

/** -1: CR and NUL inside a line are spaces. */
function replaceControls(line: Buffer, discipline: number): Buffer {
  if (discipline > -1) return line
  return Buffer.from(line.map((byte) => (byte === CR || byte === 0 ? SPACE : byte)))
}

/** 0: a tab is a space. -1: so are VT and FF, and several are one. -2: those inside the target are part of it. */
function repairRequestLine(line: Buffer, discipline: number): Buffer {
  const isBlank = (byte: number): boolean =>
    byte === SPACE || byte === TAB || (discipline <= -1 && (byte === VT || byte === FF))
  const text = Buffer.from(line.map((byte) => (isBlank(byte) ? SPACE : byte))).toString('latin1')
  if (discipline > -1) return Buffer.from(text, 'latin1')
  const words = text.split(' ').filter((word) => word !== '')
  if (discipline > -2 || words.length < 4) return Buffer.from(words.join(' '), 'latin1')
  const [method, version] = [words[0], words.at(-1)]
  return Buffer.from(`${method} ${words.slice(1, -1).join('%20')} ${version}`, 'latin1')
}

/** -2: a line that is no field is passed over (null). -3: white space before the colon is no part of the name. */
function repairField(line: Buffer, discipline: number): Buffer | null {
  if (discipline > -2 || line[0] === SPACE || line[0] === TAB) return line
  const colon = line.indexOf(COLON)
  const name = line.subarray(0, Math.max(colon, 0)).toString('latin1')
  const trimmed = discipline <= -3 ? name.trimEnd() : name
  if (trimmed === '' || /[ \t]/.test(trimmed)) return null
  return trimmed.length === name.length ? line : Buffer.concat([Buffer.from(trimmed, 'latin1'), line.subarray(colon)])
}
