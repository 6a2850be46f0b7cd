/**
 * A .netrc file: `machine name login user password secret` and `default`, in tokens parted by white space; tokens may
 * be in quotes, with \" and \\ inside, `#` begins a comment, `macdef` lasts until an empty line. Own, because it is
 * smaller than any package for it, and those are without care for years. What is no netrc file throws at once.
 */
import { readFileSync } from 'node:fs'
import { type Credentials, hasControl } from './credentials.ts'

/** Longer files are surely something else: curl's figure for its read buffer. */
const FILE_BYTES_MAX = 128 * 1024
const TOKEN = /#[^\n]*|"(?:[^"\\\n]|\\.)*"|[^\s"]\S*|"/g

interface Entry {
  /** null: `default`. */
  readonly host: string | null
  login: string | null
  password: string | null
}

export class Netrc {
  readonly #entries: readonly Entry[]

  /** Throws an Error with the line that cannot be read; its text is not repeated, since it may be a password. */
  constructor(text: string) {
    this.#entries = parseEntries(text)
  }

  /** A missing file throws Node's own error. */
  static read(path: string): Netrc {
    const bytes = readFileSync(path)
    if (bytes.length > FILE_BYTES_MAX) throw new Error(`the file is longer than ${FILE_BYTES_MAX} bytes`)
    return new Netrc(bytes.toString())
  }

  /**
   * The first entry of that host, and of that user name when one is given; else, where it is wanted, `default`.
   */
  find(host: string, username: string, allowsDefault: boolean): Credentials | null {
    for (const entry of this.#entries) {
      const isHost = entry.host === null ? allowsDefault : entry.host.toLowerCase() === host.toLowerCase()
      if (!isHost || (username !== '' && entry.login !== null && entry.login !== username)) continue
      const name = username === '' ? (entry.login ?? '') : username
      if (name !== '' || entry.password !== null) return { username: name, password: entry.password ?? '' }
    }
    return null
  }
}

function parseEntries(text: string): Entry[] {
  const entries: Entry[] = []
  const tokens = tokenize(text)
  let current: Entry | null = null
  for (let token = tokens.next(); !token.done; token = tokens.next()) {
    const { word, line } = token.value
    const value = (): string => {
      const next = tokens.next()
      if (next.done) throw new Error(`line ${line}: a word is missing behind '${word}'`)
      return next.value.word
    }
    if (word === 'machine' || word === 'default') {
      current = { host: word === 'machine' ? value() : null, login: null, password: null }
      entries.push(current)
      continue
    }
    if (current === null) throw new Error(`line ${line}: expected 'machine' or 'default'`)
    if (word === 'login') current.login = value()
    else if (word === 'password') current.password = value()
    else if (word === 'account') value()
    else throw new Error(`line ${line}: unknown word`)
  }
  return entries
}

interface Token {
  readonly word: string
  readonly line: number
}

function* tokenize(text: string): Generator<Token, void, undefined> {
  let inMacro = false
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (inMacro) {
      inMacro = line.trim() !== ''
      continue
    }
    for (const [word] of line.matchAll(TOKEN)) {
      if (word.startsWith('#')) break
      if (word === 'macdef') {
        inMacro = true
        break
      }
      yield { word: unquote(word, index + 1), line: index + 1 }
    }
  }
}

function unquote(word: string, line: number): string {
  if (word === '"') throw new Error(`line ${line}: a quote is not closed`)
  const plain = word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, '$1') : word
  if (hasControl(plain)) throw new Error(`line ${line}: a control character`)
  return plain
}
