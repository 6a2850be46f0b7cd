/**
 * Entries of the option `resolve`, spelled as curl spells them: 'host:port:address[,address]…' says where a host is,
 * '-host:port' takes an earlier entry back, host '*' stands for every host of that port, IPv6 goes in brackets. A
 * leading '+' (in curl: the entry may expire) is accepted and changes nothing, because entries belong to one transfer.
 */
import type { SocketAddress } from '../sys/kernel.ts'
import { parseIpLiteral, stripBrackets } from './address.ts'

export interface ResolveEntry {
  /** In lower case without brackets, or '*'. */
  readonly host: string
  readonly port: number
  /** null takes an earlier entry back. */
  readonly addresses: readonly SocketAddress[] | null
}

const ENTRY_SHAPE = /^([+-]?)(\[[^\]]+\]|[^:[\]]+):(\d{1,5})(?::(.+))?$/

/** Throws TypeError when the entry is not understood. */
export function parseResolveEntry(entry: string): ResolveEntry {
  const match = typeof entry === 'string' ? ENTRY_SHAPE.exec(entry) : null
  if (match === null) throw misuse(entry, "is not 'host:port:address[,address]' or '-host:port'")
  const [, sign, host, portText, list] = match
  const port = Number(portText)
  if (port > 65535) throw misuse(entry, 'has a port above 65535')
  const name = stripBrackets(host as string).toLowerCase()
  if (sign === '-') {
    if (list !== undefined) throw misuse(entry, 'takes an entry back and must not name addresses')
    return { host: name, port, addresses: null }
  }
  if (list === undefined) throw misuse(entry, 'names no address')
  const addresses = list.split(',').map((text) => {
    const address = parseIpLiteral(text, port)
    if (address === null) throw misuse(entry, `has '${text}' where an IP address belongs`)
    return address
  })
  return { host: name, port, addresses }
}

/** Where a host and port are: the last entry counts, '*' only when none names the host. null: ask the system. */
export function findResolveEntry(
  entries: readonly ResolveEntry[],
  host: string,
  port: number,
): readonly SocketAddress[] | null {
  const name = stripBrackets(host).toLowerCase()
  let named: readonly SocketAddress[] | null = null
  let everyHost: readonly SocketAddress[] | null = null
  for (const entry of entries) {
    if (entry.port !== port) continue
    if (entry.host === name) named = entry.addresses
    else if (entry.host === '*') everyHost = entry.addresses
  }
  return named ?? everyHost
}

function misuse(entry: unknown, problem: string): TypeError {
  return new TypeError(`resolve: entry '${String(entry)}' ${problem}`)
}
