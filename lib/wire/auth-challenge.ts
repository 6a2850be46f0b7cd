/**
 * Challenges of WWW-Authenticate and Proxy-Authenticate (RFC 9110 §11.6.1), from text to values. Several may stand in
 * one field, commas between them and between their parameters alike. It never throws, and reads what servers get wrong
 * at least as well as curl: quotes that are not escaped or not closed, missing commas, characters that need quotes.
 * What cannot be read is passed over up to the next comma. Parameters that a challenge names twice make it void, since
 * two readers could choose two values.
 */
import { isTokenCode } from './http1/syntax.ts'

export interface AuthChallenge {
  /** In lower case. */
  readonly scheme: string
  /** What stands alone behind the scheme instead of parameters; '' when nothing does. */
  readonly token68: string
  /** Names in lower case; quoted values without quotes and escapes. */
  readonly parameters: ReadonlyMap<string, string>
}

/** Challenges of one response; more are not read. */
const CHALLENGES_MAX = 32
/** Parameters of one challenge; more make the rest of the field unreadable. */
const PARAMETERS_MAX = 64

const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y
const QUOTE = 34
const BACKSLASH = 92
const COMMA = 44
const EQUALS = 61

/** Of every field of that name, in order. */
export function parseAuthChallenges(values: Iterable<string>): AuthChallenge[] {
  const challenges: AuthChallenge[] = []
  for (const value of values) {
    const parser = new ChallengeParser(value)
    for (let next = parser.next(); next !== null && challenges.length < CHALLENGES_MAX; next = parser.next()) {
      if (!next.isVoid) challenges.push(next)
    }
  }
  return challenges
}

/** A value as a quoted string. The text must be a field value. */
export function quoteString(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

interface ReadChallenge extends AuthChallenge {
  token68: string
  readonly parameters: Map<string, string>
  isVoid: boolean
}

function newChallenge(scheme: string): ReadChallenge {
  return { scheme: scheme.toLowerCase(), token68: '', parameters: new Map(), isVoid: false }
}

class ChallengeParser {
  readonly #text: string
  #at = 0
  /** No quote from here on stands where a value can end. */
  #hasLooseQuotes = false

  constructor(text: string) {
    this.#text = text
  }

  next(): ReadChallenge | null {
    for (;;) {
      this.#skipCommas()
      if (this.#at >= this.#text.length) return null
      const scheme = this.#token()
      if (scheme !== '' && this.#isAtComma()) return newChallenge(scheme)
      if (scheme !== '' && this.#skipBlanks() && this.#code() !== EQUALS) return this.#challenge(scheme)
      this.#skipToComma()
    }
  }

  #challenge(scheme: string): ReadChallenge | null {
    const challenge = newChallenge(scheme)
    const { parameters } = challenge
    challenge.token68 = this.#token68()
    for (let count = 0; challenge.token68 === ''; count++) {
      const before = this.#at
      this.#skipCommas()
      const name = this.#parameterName()
      if (name === null) {
        // Not a parameter: the next challenge, the end, or nothing that can be read.
        this.#at = before
        if (this.#isAtComma()) break
        this.#skipToComma()
        continue
      }
      if (count === PARAMETERS_MAX) return this.#giveUp()
      if (parameters.has(name)) challenge.isVoid = true
      parameters.set(name, this.#code() === QUOTE ? this.#quoted() : this.#unquoted())
      this.#skipBlanks()
    }
    return challenge
  }

  /** With its equals sign and the blanks around it; null: what stands here is none. */
  #parameterName(): string | null {
    const name = this.#token()
    this.#skipBlanks()
    if (name === '' || this.#code() !== EQUALS) return null
    this.#at++
    this.#skipBlanks()
    return name.toLowerCase()
  }

  #quoted(): string {
    const from = this.#at + 1
    if (!this.#hasLooseQuotes) {
      const value = this.#quotedFrom(from, (at) => this.#mayEndAt(at))
      if (value !== null) return value
      this.#hasLooseQuotes = true
    }
    return this.#quotedFrom(from, () => true) ?? this.#rest(from)
  }

  /** Up to the first quote that is not escaped and at which it may end. */
  #quotedFrom(start: number, mayEnd: (at: number) => boolean): string | null {
    let value = ''
    let from = start
    for (let at = from; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at)
      if (code === QUOTE && mayEnd(at + 1)) {
        this.#at = at + 1
        return value + this.#text.slice(from, at)
      }
      if (code === BACKSLASH) {
        value += this.#text.slice(from, at)
        from = ++at
      }
    }
    return null
  }

  /** Whether the text ends there, or a comma or another parameter follows: otherwise a quote is one of the value. */
  #mayEndAt(at: number): boolean {
    const before = this.#at
    this.#at = at
    this.#skipBlanks()
    const mayEnd = this.#isAtComma() || this.#parameterName() !== null
    this.#at = before
    return mayEnd
  }

  #rest(from: number): string {
    this.#at = this.#text.length
    return this.#text.slice(from).replace(/\\(.)/g, '$1')
  }

  /** Whatever stands before the next comma. */
  #unquoted(): string {
    const from = this.#at
    this.#skipToComma()
    return this.#text.slice(from, this.#at).trim()
  }

  #token(): string {
    const from = this.#at
    while (this.#at < this.#text.length && isTokenCode(this.#text.charCodeAt(this.#at))) this.#at++
    return this.#text.slice(from, this.#at)
  }

  #token68(): string {
    TOKEN68.lastIndex = this.#at
    const found = TOKEN68.exec(this.#text)?.[0] ?? ''
    this.#at += found.length
    return found
  }

  #skipBlanks(): boolean {
    const from = this.#at
    for (let code = this.#code(); code === 32 || code === 9; code = this.#code()) this.#at++
    return this.#at > from
  }

  #skipCommas(): void {
    this.#skipBlanks()
    while (this.#code() === COMMA) {
      this.#at++
      this.#skipBlanks()
    }
  }

  #skipToComma(): void {
    const comma = this.#text.indexOf(',', this.#at)
    this.#at = comma < 0 ? this.#text.length : comma
  }

  #code(): number {
    return this.#text.charCodeAt(this.#at)
  }

  /** Or at the end of the text. */
  #isAtComma(): boolean {
    return this.#at >= this.#text.length || this.#code() === COMMA
  }

  #giveUp(): null {
    this.#at = this.#text.length
    return null
  }
}
