/**
 * Header fields in the order in which they were sent. Names compare without case. A list that came from the wire is one
 * string of the head and offsets into it; a name or value becomes a string when it is asked for. Lists do not change.
 */
import { SPAN } from './llhttp.ts'

export type HeaderPairs = Iterable<readonly [string, string]>
export type HeaderRecord = Readonly<Record<string, string | readonly string[]>>

const UPPER_A = 65
const UPPER_Z = 90
const TAB = 9
const SPACE = 32

/** True when `text` from `start` to `end` is `lowerCaseName`, whatever the case of its ASCII letters. */
export function matchesName(text: string, start: number, end: number, lowerCaseName: string): boolean {
  if (end - start !== lowerCaseName.length) return false
  for (let index = start; index < end; index++) {
    const code = text.charCodeAt(index)
    const wanted = lowerCaseName.charCodeAt(index - start)
    if (code !== wanted && (code + 32 !== wanted || code < UPPER_A || code > UPPER_Z)) return false
  }
  return true
}

export class HeaderList {
  /** The bytes of the head as Latin-1, first line and empty line included, when the list came from the wire. */
  readonly text: string
  /** SPAN offsets into `text` per field: name start, name end, value start, value end. */
  readonly offsets: readonly number[]

  private constructor(text: string, offsets: readonly number[]) {
    this.text = text
    this.offsets = offsets
  }

  /** `spans` is copied as far as `count`; white space at the end of values is left out. */
  static fromSpans(text: string, spans: Int32Array, count: number): HeaderList {
    const own = new Array<number>(count)
    for (let index = 0; index < count; index += SPAN) {
      const valueStart = spans[index + 2] as number
      let valueEnd = spans[index + 3] as number
      while (valueEnd > valueStart && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd--
      own[index] = spans[index] as number
      own[index + 1] = spans[index + 1] as number
      own[index + 2] = valueStart
      own[index + 3] = valueEnd
    }
    return new HeaderList(text, own)
  }

  /** `text`, when given, stands first in the list's own text; it is what was on the wire. */
  static fromPairs(pairs: HeaderPairs, text = ''): HeaderList {
    const spans: number[] = []
    let all = text
    for (const [name, value] of pairs) {
      const start = all.length
      all += `${name}: ${value}\r\n`
      const nameEnd = start + name.length
      spans.push(start, nameEnd, nameEnd + 2, nameEnd + 2 + value.length)
    }
    return new HeaderList(all, spans)
  }

  /** A value that is an array gives one field per element. */
  static fromRecord(record: HeaderRecord): HeaderList {
    const pairs: [string, string][] = []
    for (const [name, value] of Object.entries(record)) {
      if (typeof value === 'string') pairs.push([name, value])
      else for (const one of value) pairs.push([name, one])
    }
    return HeaderList.fromPairs(pairs)
  }

  get size(): number {
    return this.offsets.length / SPAN
  }

  nameAt(index: number): string {
    const at = index * SPAN
    return this.text.slice(this.offsets[at], this.offsets[at + 1])
  }

  valueAt(index: number): string {
    const at = index * SPAN
    return this.text.slice(this.offsets[at + 2], this.offsets[at + 3])
  }

  /** Index of the next field of that name at or after `from`; -1 when there is none. The name is in lower case. */
  indexOf(lowerCaseName: string, from = 0): number {
    const spans = this.offsets
    for (let at = from * SPAN; at < spans.length; at += SPAN) {
      const start = spans[at] as number
      const end = spans[at + 1] as number
      if (matchesName(this.text, start, end, lowerCaseName)) return at / SPAN
    }
    return -1
  }

  has(name: string): boolean {
    return this.indexOf(name.toLowerCase()) >= 0
  }

  /** The value; several fields of one name are joined with ', ' as RFC 9110 §5.3 reads them. */
  get(name: string): string | undefined {
    const wanted = name.toLowerCase()
    let index = this.indexOf(wanted)
    if (index < 0) return undefined
    let value = this.valueAt(index)
    for (index = this.indexOf(wanted, index + 1); index >= 0; index = this.indexOf(wanted, index + 1)) {
      value += `, ${this.valueAt(index)}`
    }
    return value
  }

  /** The value of the first field of that name: for fields that may stand only once, as Location. */
  first(name: string): string | undefined {
    const index = this.indexOf(name.toLowerCase())
    return index < 0 ? undefined : this.valueAt(index)
  }

  /** Every value of that name, in order: for fields that cannot be joined, as Set-Cookie. */
  getAll(name: string): string[] {
    const wanted = name.toLowerCase()
    const values: string[] = []
    for (let index = this.indexOf(wanted); index >= 0; index = this.indexOf(wanted, index + 1)) {
      values.push(this.valueAt(index))
    }
    return values
  }

  get raw(): [string, string][] {
    return [...this]
  }

  /** Names in lower case; fields of one name joined, Set-Cookie as an array. */
  toRecord(): Record<string, string | string[]> {
    // No prototype: a field may be called __proto__.
    const record: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>
    for (const [name, value] of this) {
      const key = name.toLowerCase()
      const known = record[key]
      if (Array.isArray(known)) known.push(value)
      else if (key === 'set-cookie') record[key] = [value]
      else record[key] = known === undefined ? value : `${known}, ${value}`
    }
    return record
  }

  *[Symbol.iterator](): Generator<[string, string], void, undefined> {
    for (let index = 0; index < this.size; index++) yield [this.nameAt(index), this.valueAt(index)]
  }

  static readonly EMPTY: HeaderList = new HeaderList('', [])
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB
}
