/**
 * The fields of a response as text: those of the program, checked, and what the server decides itself taken out of them
 * (Content-Length, Transfer-Encoding, Connection). What a reader found is valid until it reads the next. Throws
 * TypeErrors that name the field, for what would break the framing or inject fields.
 */
import { wrongRange, wrongType } from '../../../base/options.ts'
import { HeaderList, matchesName } from '../../../wire/http1/header-list.ts'
import { isFieldValue, isToken } from '../../../wire/http1/syntax.ts'
import type { HttpResponseHeaders } from './response.ts'

/** What the server has a say in, by the length of the name. */
const LONGEST_SPECIAL_NAME = 'transfer-encoding'.length

export class FieldReader {
  /** Field lines, each with its CRLF. */
  lines = ''
  /** Of the program's Content-Length; -1 when there is none. */
  contentLength = -1
  /** The program asks for chunks. */
  chunked = false
  /** The program ends the connection. */
  close = false
  /** Other options of its Connection, as 'Upgrade'. */
  connection = ''
  hasDate = false
  hasServer = false
  /** These are the fields of the last time. */
  isRepeated = false
  /** What was read last, when that was a record of strings; else `#count` is -1. */
  readonly #names: string[] = []
  readonly #values: string[] = []
  #count = -1

  read(option: string, headers: HttpResponseHeaders | undefined): void {
    this.isRepeated = this.#isLast(headers)
    if (this.isRepeated) return
    this.#count = -1
    this.lines = ''
    this.contentLength = -1
    this.chunked = false
    this.close = false
    this.connection = ''
    this.hasDate = false
    this.hasServer = false
    if (headers === undefined) return
    if (typeof headers !== 'object' || headers === null)
      throw wrongType(option, 'a record or [name, value] pairs', headers)
    if (headers instanceof HeaderList) this.#readList(option, headers)
    else if (Symbol.iterator in headers) this.#readPairs(option, headers as Iterable<unknown>)
    else this.#readRecord(option, headers as Readonly<Record<string, unknown>>)
  }

  /** For what stands behind a body, where fields of the framing have no place. */
  readTrailers(headers: HttpResponseHeaders): string {
    this.read('trailers', headers)
    if (this.contentLength >= 0 || this.chunked || this.close || this.connection !== '') {
      throw new TypeError('option trailers must not hold Content-Length, Transfer-Encoding or Connection')
    }
    return this.lines
  }

  #readRecord(option: string, headers: Readonly<Record<string, unknown>>): void {
    let count = 0
    let isPlain = true
    for (const name of Object.keys(headers)) {
      const value = headers[name]
      if (typeof value === 'string') {
        this.#add(option, name, value)
        this.#names[count] = name
        this.#values[count++] = value
      } else {
        isPlain = false
        if (value !== undefined) this.#addOther(option, name, value)
      }
    }
    if (isPlain) this.#count = count
  }

  /** Servers say the same again and again: then nothing is checked and put together anew. */
  #isLast(headers: HttpResponseHeaders | undefined): boolean {
    if (this.#count < 0 || typeof headers !== 'object' || headers === null || Symbol.iterator in headers) return false
    const record = headers as Readonly<Record<string, unknown>>
    let index = 0
    for (const name in record) {
      if (index === this.#count || name !== this.#names[index] || record[name] !== this.#values[index]) return false
      index++
    }
    return index === this.#count
  }

  #readPairs(option: string, headers: Iterable<unknown>): void {
    for (const pair of headers) {
      if (!Array.isArray(pair) || pair.length !== 2) throw wrongType(option, 'a record or [name, value] pairs', pair)
      this.#addOther(option, pair[0], pair[1])
    }
  }

  #readList(option: string, headers: HeaderList): void {
    for (let index = 0; index < headers.size; index++) this.#add(option, headers.nameAt(index), headers.valueAt(index))
  }

  #addOther(option: string, name: string, value: unknown): void {
    if (typeof value === 'string') this.#add(option, name, value)
    else if (typeof value === 'number') this.#add(option, name, String(value))
    else if (Array.isArray(value)) for (const one of value) this.#addOther(option, name, one)
    else throw wrongType(`${option}['${name}']`, 'a string, a number or an array of them', value)
  }

  #add(option: string, name: string, value: string): void {
    if (typeof name !== 'string' || !isToken(name)) throw wrongType(option, 'fields with a token for a name', name)
    if (!isFieldValue(value)) {
      throw wrongType(`${option}['${name}']`, 'Latin-1 text without CR, LF and NUL', value)
    }
    if (name.length <= LONGEST_SPECIAL_NAME && this.#isSpecial(option, name, value)) return
    this.lines += `${name}: ${value}\r\n`
  }

  /** True when the field is not sent as it stands. */
  #isSpecial(option: string, name: string, value: string): boolean {
    switch (name.length) {
      case 4:
        this.hasDate ||= isNamed(name, 'date')
        return false
      case 6:
        this.hasServer ||= isNamed(name, 'server')
        return false
      case 10:
        return isNamed(name, 'connection') && this.#readConnection(value)
      case 14:
        return isNamed(name, 'content-length') && this.#readContentLength(option, value)
      case 17:
        return isNamed(name, 'transfer-encoding') && this.#readTransferEncoding(option, value)
      default:
        return false
    }
  }

  #readConnection(value: string): true {
    for (const part of value.split(',')) {
      const token = part.trim()
      const lower = token.toLowerCase()
      if (lower === 'close') this.close = true
      else if (token !== '' && lower !== 'keep-alive') {
        this.connection += this.connection === '' ? token : `, ${token}`
      }
    }
    return true
  }

  #readContentLength(option: string, value: string): true {
    const length = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
    if (!Number.isSafeInteger(length)) throw wrongRange(`${option}['content-length']`, 'a number of bytes', value)
    if (this.contentLength >= 0 && this.contentLength !== length) {
      throw wrongRange(`${option}['content-length']`, `the same as before, ${this.contentLength}`, value)
    }
    this.contentLength = length
    return true
  }

  #readTransferEncoding(option: string, value: string): true {
    if (value.toLowerCase() !== 'chunked') throw wrongRange(`${option}['transfer-encoding']`, "'chunked'", value)
    this.chunked = true
    return true
  }
}

function isNamed(name: string, lowerCaseName: string): boolean {
  return matchesName(name, 0, name.length, lowerCaseName)
}
