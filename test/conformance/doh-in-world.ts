/** A server for DNS over HTTPS in the simulated world, without the S: a table of names, and how it treats who asks. */
import type { Simulation } from '../sim/simulation.ts'
import { type DnsRecord, type Query, readQuery, TYPE_A, TYPE_AAAA, writeAnswer } from '../support/dns-answers.ts'
import { type ScriptedServer, serveScript } from './scripted.ts'

/** null: it never answers. Text is sent as it is, and the connection closed. */
export type DohReply = Buffer | string | null

export interface DohWorld extends ScriptedServer {
  /** 'name type', as they were asked. */
  readonly asked: string[]
  readonly heads: string[]
}

const PORT = 8053

export function address(name: string, value: string, ttl = 300): DnsRecord {
  return value.includes(':')
    ? { name, type: TYPE_AAAA, ttl, value: value.replace('2001:db8::', '20010db8'.padEnd(31, '0')).padStart(32, '0') }
    : { name, type: TYPE_A, ttl, value }
}

/** Those records that the question is about. */
export function answerFrom(query: Query, records: readonly DnsRecord[]): Buffer {
  return writeAnswer(
    query,
    records.filter(({ type }) => type === query.type || type === 5),
  )
}

export function httpAnswer(message: Uint8Array, fields = 'Content-Type: application/dns-message\r\n'): string {
  const head = `HTTP/1.1 200 OK\r\n${fields}Content-Length: ${message.length}\r\n\r\n`
  return head + Buffer.from(message).toString('latin1')
}

export function serveDoh(simulation: Simulation, reply: (query: Query) => DohReply, delayMs = 0): DohWorld {
  const asked: string[] = []
  const heads: string[] = []
  const server = serveScript(simulation, PORT, (connection) => {
    const end = connection.received.indexOf('\r\n\r\n')
    if (end < 0) return
    const length = Number(/^content-length: (\d+)\r$/im.exec(connection.received)?.[1] ?? 0)
    if (connection.received.length < end + 4 + length) return
    const head = connection.received.slice(0, end)
    const query = readQuery(Buffer.from(connection.received.slice(end + 4, end + 4 + length), 'latin1'))
    connection.received = connection.received.slice(end + 4 + length)
    asked.push(`${query.name} ${query.type === TYPE_A ? 'A' : 'AAAA'}`)
    heads.push(head)
    const answer = reply(query)
    if (answer === null) return
    const text = typeof answer === 'string' ? answer : httpAnswer(answer)
    simulation.world.after(delayMs, () => {
      connection.peer.write(Buffer.from(text, 'latin1'))
      if (typeof answer === 'string') connection.peer.end()
    })
  })
  return { ...server, url: `${server.url}/dns-query`, asked, heads }
}
