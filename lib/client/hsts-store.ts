/**
 * Hosts that are to be asked over TLS only (RFC 6797), for any number of transfers: learnt from their responses, added
 * by the user, or read from a file of curl's format. A store is the user's and outlives every Multi. Addresses are
 * never in it. Expiry follows the calendar, so this file reads the clock of the world.
 */
import { type Check, checkOptions, isText, wrongType } from '../base/options.ts'
import { ipBytes } from '../wire/ip-address.ts'
import { parseStrictTransport } from '../wire/strict-transport.ts'
import { formatHstsFile, type HstsEntry, parseHstsFile } from './hsts-file.ts'
import { readIfThere, replaceFile } from './whole-file.ts'

/** A host above it makes room by forgetting the one that was told longest ago. */
const HOSTS_MAX = 10_000
const HOST_BYTES_MAX = 255
/** Later than any calendar: what is farther away than this is for ever. */
const TIME_MAX = 253_402_300_799_000

export interface HstsStoreOptions {
  /** Read at once; a file that does not exist is an empty one. CURLOPT_HSTS. */
  file?: string
  /** What stands in such a file. */
  text?: string
  /** CURLOPT_HSTSREADFUNCTION. */
  entries?: Iterable<HstsEntry>
}

const CHECKS: Readonly<Record<keyof HstsStoreOptions, Check>> = {
  file: isText,
  text: isText,
  entries: (option, value) => {
    const isIterable = typeof value === 'object' && value !== null && Symbol.iterator in value
    if (!isIterable) throw wrongType(option, 'an iterable of entries', value)
  },
}

interface Known {
  readonly includeSubDomains: boolean
  /** Milliseconds since 1970; Infinity: for ever. */
  readonly expires: number
}

export class HstsStore {
  readonly #hosts = new Map<string, Known>()

  /** Throws TypeError naming the option, and Node's own error for a file that cannot be read. */
  constructor(options: HstsStoreOptions = {}) {
    checkOptions('HstsStore options', options, CHECKS)
    if (options.file !== undefined) this.load(readIfThere(options.file))
    if (options.text !== undefined) this.load(options.text)
    for (const entry of options.entries ?? []) this.add(entry)
  }

  get size(): number {
    return this.entries().length
  }

  /** Whether that host, or a domain above it that includes its subdomains, wants TLS. */
  has(host: string): boolean {
    const name = hostName(host)
    if (name === null || this.#hosts.size === 0) return false
    const now = Date.now()
    for (let at = 0; at >= 0; at = nextLabel(name, at)) {
      const known = this.#hosts.get(name.slice(at))
      if (known !== undefined && known.expires > now && (at === 0 || known.includeSubDomains)) return true
    }
    return false
  }

  /** Throws TypeError for what is no name of a host. */
  add({ host, includeSubDomains = false, expires = null }: Partial<HstsEntry> & Pick<HstsEntry, 'host'>): void {
    if (typeof host !== 'string' || hostName(host) === null) throw wrongType('host', 'the name of a host', host)
    if (typeof includeSubDomains !== 'boolean') throw wrongType('includeSubDomains', 'true or false', includeSubDomains)
    if (expires !== null && !(expires instanceof Date)) throw wrongType('expires', 'a Date or null', expires)
    this.#put(host, includeSubDomains, expires === null ? Number.POSITIVE_INFINITY : expires.getTime())
  }

  /**
   * Learns what a response said over TLS, whose certificate was right; false when it says nothing, or the host is an
   * address. A max-age of 0 forgets the host.
   */
  learn(host: string, strictTransportSecurity: string): boolean {
    const name = hostName(host)
    const said = parseStrictTransport(strictTransportSecurity)
    if (name === null || said === null) return false
    if (said.maxAgeSeconds === 0) this.#hosts.delete(name)
    else this.#put(host, said.includeSubDomains, Date.now() + said.maxAgeSeconds * 1000)
    return true
  }

  /** Forgets one host; false when it was not known. */
  delete(host: string): boolean {
    return this.#hosts.delete(hostName(host) ?? '')
  }

  clear(): void {
    this.#hosts.clear()
  }

  /** What has not expired. CURLOPT_HSTSWRITEFUNCTION. */
  entries(): HstsEntry[] {
    const now = Date.now()
    const entries: HstsEntry[] = []
    for (const [host, { includeSubDomains, expires }] of this.#hosts) {
      if (expires > now)
        entries.push({ host, includeSubDomains, expires: expires > TIME_MAX ? null : new Date(expires) })
    }
    return entries
  }

  /** Adds what stands in a file of curl's format; of two entries for a host the one that lasts longer counts. */
  load(text: string): void {
    for (const { host, includeSubDomains, expires } of parseHstsFile(text)) {
      const name = hostName(host)
      const until = expires?.getTime() ?? Number.POSITIVE_INFINITY
      if (name === null || !(until > Date.now())) continue
      if (until > (this.#hosts.get(name)?.expires ?? 0)) this.#put(host, includeSubDomains, until)
    }
  }

  /** In curl's format. */
  text(): string {
    return formatHstsFile(this.entries())
  }

  /** Writes `text()`, whole or not at all; others may not read it. */
  save(file: string): void {
    replaceFile(file, this.text())
  }

  #put(host: string, includeSubDomains: boolean, expires: number): void {
    const name = hostName(host) as string
    this.#hosts.delete(name)
    const [oldest] = this.#hosts.keys()
    if (this.#hosts.size >= HOSTS_MAX && oldest !== undefined) this.#hosts.delete(oldest)
    this.#hosts.set(name, { includeSubDomains, expires })
  }
}

/** In lower case, without the dot of the root; null for addresses and what is no name. */
function hostName(host: string): string | null {
  const name = host.toLowerCase().replace(/\.$/, '')
  if (name === '' || name.length > HOST_BYTES_MAX || /[^\x21-\x7e]|["#/:[\]]|^\.|\.\./.test(name)) return null
  return ipBytes(name) === null ? name : null
}

/** Where the domain above begins; -1: there is none. */
function nextLabel(name: string, at: number): number {
  const dot = name.indexOf('.', at)
  return dot < 0 ? -1 : dot + 1
}
