/**
 * Challenges of WWW-Authenticate and Proxy-Authenticate (RFC 9110 §11.6.1), from text to values. Several may stand in
 * one field, commas between them and between their parameters alike. It never throws: what it cannot read ends the
 * field, and the challenges before it count. Parameters that a challenge names twice make it void, since two readers
 * could choose two values.
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
  readonly isVoid: boolean
}

class ChallengeParser {
  readonly #text: string
  #at = 0
  #isBroken = false

  constructor(text: string) {
    this.#text = text
  }

  next(): ReadChallenge | null {
    this.#skipCommas()
    const scheme = this.#token()
    if (scheme === '') return null
    const parameters = new Map<string, string>()
    const challenge = { scheme: scheme.toLowerCase(), token68: '', parameters, isVoid: false }
    if (!this.#skipBlanks()) return this.#isAtComma() ? challenge : this.#giveUp()
    challenge.token68 = this.#token68()
    if (challenge.token68 !== '') return challenge
    for (let count = 0; count < PARAMETERS_MAX; count++) {
      const before = this.#at
      this.#skipCommas()
      const parameter = this.#parameter()
      if (parameter === null) {
        if (this.#isBroken) return this.#giveUp()
        // Not a parameter: the next challenge, or the end.
        this.#at = before
        return this.#isAtComma() ? challenge : this.#giveUp()
      }
      const [name, value] = parameter
      if (parameters.has(name)) challenge.isVoid = true
      parameters.set(name, value)
      this.#skipBlanks()
      if (!this.#isAtComma()) return this.#giveUp()
    }
    return this.#giveUp()
  }

  /** null: what stands here is none, or one that cannot be read. */
  #parameter(): readonly [string, string] | null {
    const name = this.#token()
    if (name === '') return null
    this.#skipBlanks()
    if (this.#code() !== EQUALS) return null
    this.#at++
    this.#skipBlanks()
    const isQuoted = this.#code() === QUOTE
    const value = isQuoted ? this.#quoted() : this.#token()
    this.#isBroken = value === null || (value === '' && !isQuoted)
    return this.#isBroken ? null : [name.toLowerCase(), value as string]
  }

  #quoted(): string | null {
    let value = ''
    let from = this.#at + 1
    for (let at = from; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at)
      if (code === QUOTE) {
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
