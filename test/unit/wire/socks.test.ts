import { describe, expect, it } from 'vitest'
import { SocksClient, type SocksRequest, SocksStatus } from '../../../lib/wire/socks.ts'

const NAME = { version: 5, host: 'example.com', port: 443, credentials: null } as const
const USER = { username: 'user', password: 'pässword' }

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** Sends what is to be sent, then gives that reply; for each reply in turn. What was sent, in hex. */
function talk(client: SocksClient, replies: readonly string[]): string[] {
  const sent: string[] = []
  for (const reply of replies) {
    sent.push(hex(client.output))
    client.outputSent()
    const bytes = Buffer.from(reply, 'hex')
    expect(client.receive(bytes, 0, bytes.length)).toBeLessThanOrEqual(bytes.length)
  }
  if (client.output.length > 0) sent.push(hex(client.output))
  return sent
}

function outcome(request: SocksRequest, replies: readonly string[], eof = false): string {
  const client = new SocksClient(request)
  talk(client, replies)
  if (eof) client.receiveEof()
  if (client.status === SocksStatus.DONE) return 'done'
  return client.fault === null ? 'pending' : `${client.fault.code}: ${client.fault.message}`
}

describe('SOCKS 5', () => {
  it('asks for a name that the proxy resolves', () => {
    const client = new SocksClient(NAME)
    const sent = talk(client, ['0500', '05000001c0000201d431'])
    expect(sent).toEqual(['050100', `050100030b${Buffer.from('example.com').toString('hex')}01bb`])
    expect(client.status).toBe(SocksStatus.DONE)
    expect(client.needed).toBe(0)
  })

  it.each([
    ['192.0.2.1', '05010001c000020101bb'],
    ['2001:db8::1', '0501000420010db800000000000000000000000101bb'],
    ['fe80::1%eth0', '05010004fe80000000000000000000000000000101bb'],
  ])('asks for the address %s as bytes', (host, request) => {
    expect(talk(new SocksClient({ ...NAME, host }), ['0500'])).toEqual(['050100', request])
  })

  it.each([
    ['IPv4', '05000001c0000201d431'],
    ['IPv6', '0500000420010db8000000000000000000000001d431'],
    ['a name', '050000030161d431'],
    ['an empty name', '0500000300d431'],
  ])('understands a reply with %s, and takes no byte behind it', (_, reply) => {
    const client = new SocksClient(NAME)
    talk(client, ['0500'])
    client.outputSent()
    const bytes = Buffer.from(`${reply}474554`, 'hex')
    expect(client.receive(bytes, 0, bytes.length)).toBe(bytes.length - 3)
    expect(client.status).toBe(SocksStatus.DONE)
  })

  it('logs in when the proxy wants it', () => {
    const client = new SocksClient({ ...NAME, credentials: USER })
    const sent = talk(client, ['0502', '0100', '05000001c0000201d431'])
    expect(sent.slice(0, 2)).toEqual(['05020002', `010475736572${'09'}${Buffer.from('pässword').toString('hex')}`])
    expect(client.status).toBe(SocksStatus.DONE)
  })

  it('does not log in when the proxy does not want it', () => {
    expect(outcome({ ...NAME, credentials: USER }, ['0500', '05000001c0000201d431'])).toBe('done')
  })

  it('minds the status of a login, not its version', () => {
    const request = { ...NAME, credentials: USER }
    expect(outcome(request, ['0502', '0500', '05000001c0000201d431'])).toBe('done')
    expect(outcome(request, ['0502', '0101'])).toMatch(/^USER_REJECTED: user was rejected/)
  })

  it.each([
    ['01', 'REPLY_GENERAL_SERVER_FAILURE: general SOCKS server failure'],
    ['02', 'REPLY_NOT_ALLOWED: connection not allowed by ruleset'],
    ['03', 'REPLY_NETWORK_UNREACHABLE: network unreachable'],
    ['04', 'REPLY_HOST_UNREACHABLE: host unreachable'],
    ['05', 'REPLY_CONNECTION_REFUSED: connection refused'],
    ['06', 'REPLY_TTL_EXPIRED: TTL expired'],
    ['07', 'REPLY_COMMAND_NOT_SUPPORTED: command not supported'],
    ['08', 'REPLY_ADDRESS_TYPE_NOT_SUPPORTED: address type not supported'],
    ['09', 'REPLY_UNASSIGNED: unknown reply 9'],
    ['ff', 'REPLY_UNASSIGNED: unknown reply 255'],
  ])('has words for reply %s, even when nothing follows it', (reply, words) => {
    expect(outcome(NAME, ['0500', `05${reply}`])).toBe(words)
  })

  it.each([
    [['48'], 'BAD_VERSION: reply of version 72 where 5'],
    [['0500', '04'], 'BAD_VERSION: reply of version 4 where 5'],
    [['05ff'], 'NO_AUTH: proxy accepts no authentication method without a user name'],
    [['0502'], 'UNKNOWN_MODE: proxy chose authentication method 2'],
    [['0501'], 'UNKNOWN_MODE: proxy chose authentication method 1'],
    [['0500', '05000002'], 'BAD_ADDRESS_TYPE: unknown address type 2'],
  ])('gives up at %j', (replies, message) => {
    expect(outcome(NAME, replies)).toContain(message)
  })

  it('says where the connection ended', () => {
    expect(outcome(NAME, [], true)).toBe('CLOSED: connection closed in the greeting')
    expect(outcome({ ...NAME, credentials: USER }, ['0502'], true)).toBe('CLOSED: connection closed in the login')
    expect(outcome(NAME, ['0500', '0500'], true)).toContain('CLOSED: connection closed before the request')
  })

  it.each([
    [{ host: 'a'.repeat(256) }, 'LONG_HOSTNAME: host name of 256 bytes'],
    [{ host: '' }, 'LONG_HOSTNAME: host name of 0 bytes'],
    [{ host: 'a\0b' }, 'RESOLVE_HOST: host name contains a NUL'],
    [{ credentials: { username: 'ä'.repeat(128), password: '' } }, 'LONG_USER'],
    [{ credentials: { username: '', password: 'x'.repeat(256) } }, 'LONG_PASSWD'],
  ])('refuses what has no room: %#', (change, message) => {
    expect(outcome({ ...NAME, ...change }, [])).toContain(message)
  })

  it('has room for 255 bytes each', () => {
    const long = 'x'.repeat(255)
    const request = { ...NAME, host: long, credentials: { username: long, password: long } }
    expect(outcome(request, ['0502', '0100', '05000001c0000201d431'])).toBe('done')
  })
})

describe('SOCKS 4', () => {
  const ADDRESS = { version: 4, host: '192.0.2.1', port: 80, credentials: null } as const

  it('asks for an address', () => {
    const client = new SocksClient(ADDRESS)
    expect(talk(client, ['005a000000000000'])).toEqual(['04010050c000020100'])
    expect(client.status).toBe(SocksStatus.DONE)
  })

  it('asks for a name in the manner of 4a', () => {
    const client = new SocksClient({ ...ADDRESS, host: 'a.test', credentials: USER })
    expect(talk(client, ['005a000000000000'])).toEqual([
      `0401005000000001${Buffer.from('user\0a.test\0').toString('hex')}`,
    ])
  })

  it.each([
    ['005b', 'REQUEST_FAILED: request rejected or failed'],
    ['005c', 'IDENTD: proxy cannot reach identd'],
    ['005d', 'IDENTD_DIFFER: identd reports another user'],
    ['0000', 'UNKNOWN_FAIL: unknown reply 0'],
    ['05', 'BAD_VERSION: reply of version 5 where 0'],
  ])('gives up at %s', (reply, message) => {
    expect(outcome(ADDRESS, [reply])).toContain(message)
  })

  it('says where the connection ended', () => {
    expect(outcome(ADDRESS, ['005a00'], true)).toBe('CLOSED: connection closed before the request was granted')
  })

  it('sends no user name that ends too soon', () => {
    const credentials = { username: 'a\0b', password: '' }
    expect(outcome({ ...ADDRESS, credentials }, [])).toContain('user name contains a NUL')
    expect(outcome({ ...ADDRESS, credentials: { username: 'a'.repeat(256), password: '' } }, [])).toContain('LONG_USER')
  })
})
