/**
 * Hosts that are reached without a proxy, as curl reads the list: names stand for themselves and for what is below them
 * (a dot in front changes nothing), addresses for themselves, 'address/bits' for a range, '*' for every host. Entries
 * are separated by commas or spaces; there are no ports in it.
 */
import { show, wrongRange, wrongType } from '../base/options.ts'
import { type IpRange, ipBytes, isInRange, parseIpRange } from '../wire/ip-address.ts'
import { stripBrackets } from './address.ts'

export class NoProxy {
  readonly #everything: boolean
  readonly #names: readonly string[]
  readonly #ranges: readonly IpRange[]

  private constructor(entries: readonly string[]) {
    const ranges = entries.map((entry) => parseIpRange(entry))
    this.#everything = entries.includes('*')
    this.#ranges = ranges.filter((range) => range !== null)
    this.#names = entries
      .filter((_, index) => ranges[index] === null)
      .map(bareName)
      .filter((name) => name !== '')
  }

  /** Throws TypeError or RangeError that names the option. */
  static parse(option: string, value: unknown): NoProxy {
    const texts: readonly unknown[] = Array.isArray(value) ? value : [value]
    const entries: string[] = []
    for (const text of texts) {
      if (typeof text !== 'string') throw wrongType(option, 'a string or an array of strings', text)
      entries.push(...splitEntries(text))
    }
    for (const entry of entries) {
      if (entry.includes('/') && parseIpRange(entry) === null) {
        throw wrongRange(option, "a list of hosts and ranges 'address/bits'", entry)
      }
      if (entry === '' || /[\x00-\x20\x7f]/.test(entry))
        throw new TypeError(`option ${option}: ${show(entry)} is no host`)
    }
    return new NoProxy(entries)
  }

  /** Of an environment variable, which was written for others too: what is not understood matches nothing. */
  static guess(text: string): NoProxy {
    return new NoProxy(splitEntries(text))
  }

  /** `host` with or without brackets. */
  matches(host: string): boolean {
    if (this.#everything) return true
    const bare = stripBrackets(host)
    const address = ipBytes(bare)
    if (address !== null) return this.#ranges.some((range) => isInRange(range, address))
    const name = bareName(bare)
    return this.#names.some((entry) => name === entry || name.endsWith(`.${entry}`))
  }
}

function splitEntries(text: string): string[] {
  const entries = text.split(/[, \t]+/).filter((entry) => entry !== '')
  return entries.map((entry) => entry.replace(/^\[([^\]]*)\]/, '$1'))
}

function bareName(name: string): string {
  return name.toLowerCase().replace(/^\./, '').replace(/\.$/, '')
}
