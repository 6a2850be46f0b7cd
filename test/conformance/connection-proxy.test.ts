import { expect } from 'vitest'
import { type Connection, Family, type ServerOptions } from '../../lib/index.ts'
import { encodeProxyHeader, type ProxyHeader } from '../../lib/wire/proxy-protocol.ts'
import type { Bench } from './bench.ts'
import { scenario } from './drivers.ts'
import { Stage } from './server/stage.ts'

const HEADER: ProxyHeader = {
  version: 1,
  command: 'proxy',
  transport: 'tcp4',
  source: { address: '203.0.113.7', port: 1234 },
  destination: { address: '198.51.100.1', port: 80 },
  tlvs: [],
}
const V1 = Buffer.from(encodeProxyHeader(HEADER)).toString('latin1')
const V2 = Buffer.from(encodeProxyHeader({ ...HEADER, version: 2 })).toString('latin1')
const REAL = { family: Family.IPV4, address: '203.0.113.7', port: 1234 }
const EVERYBODY = ['0.0.0.0/0', '::/0']

/** Echoes what comes behind the header. */
function echoing(bench: Bench, options: ServerOptions): Stage {
  return Stage.start(bench, {
    ...options,
    onConnect: (connection) => {
      connection.onData = (one, chunk) => one.write(chunk)
    },
  })
}

function only(stage: Stage): Connection {
  expect(stage.connections).toHaveLength(1)
  return stage.connections[0] as Connection
}

for (const [name, header] of [
  ['1', V1],
  ['2', V2],
] as const) {
  scenario(`a PROXY header of version ${name} from a trusted proxy tells who the client is`, async (bench) => {
    const asked: string[] = []
    const stage = echoing(bench, {
      proxyProtocol: { from: EVERYBODY },
      policy: (peer) => {
        asked.push(peer.address)
        return true
      },
    })
    const client = stage.connect()
    client.write(`${header}hello`)
    await stage.until(() => client.received === 'hello')
    const connection = only(stage)
    expect(connection.peer).toEqual(REAL)
    expect(connection.local).toMatchObject({ address: '198.51.100.1', port: 80 })
    expect(connection.rawPeer?.address).not.toBe('203.0.113.7')
    expect(asked).toEqual([connection.rawPeer?.address, '203.0.113.7'])
    expect(connection.bytesRead).toBe(5)
    await stage.stop()
  })

  scenario(`a PROXY header of version ${name} may come byte by byte`, async (bench) => {
    const stage = echoing(bench, { proxyProtocol: { from: EVERYBODY } })
    const client = stage.connect()
    for (const byte of `${header}hello`) {
      client.write(byte)
      await stage.pass(1)
    }
    await stage.until(() => client.received === 'hello')
    expect(only(stage).peer).toEqual(REAL)
    await stage.stop()
  })
}

scenario('the header of a proxy that is not trusted is nothing but bytes', async (bench) => {
  const stage = echoing(bench, { proxyProtocol: { from: ['192.0.2.0/24', '2001:db8::/32', 'unix'] } })
  const client = stage.connect()
  client.write(V1)
  await stage.until(() => client.received === V1)
  const connection = only(stage)
  expect(connection.peer).toEqual(connection.rawPeer)
  await stage.stop()
})

scenario('where a PROXY header is required, whoever sends none is turned away', async (bench) => {
  const stage = echoing(bench, { proxyProtocol: { from: EVERYBODY } })
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', 'PROXY TCP4 nonsense\r\n', '\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c']) {
    const client = stage.connect()
    client.write(bytes)
    await stage.until(() => client.isOver)
    expect(client.received).toBe('')
  }
  const silent = stage.connect()
  silent.end()
  await stage.until(() => silent.isOver)
  await stage.until(() => stage.count('disconnect') === 4)
  expect(stage.count('connect')).toBe(0)
  expect(stage.told.filter((text) => text.startsWith('disconnect'))).toEqual(
    [1, 2, 3, 4].map((number) => `disconnect ${number} error`),
  )
  await stage.stop()
})

scenario('a PROXY header that does not come in time ends the connection', async (bench) => {
  let why: Error | null = null
  const stage = echoing(bench, {
    proxyProtocol: { from: EVERYBODY },
    timeouts: { proxyHeaderMs: 30 },
    onDisconnect: (_, __, error) => {
      why = error
    },
  })
  const client = stage.connect()
  client.write(V1.slice(0, 20))
  await stage.until(() => client.isOver)
  await stage.until(() => stage.count('disconnect 1 timeout') === 1)
  expect(String(why)).toMatch(/PROXY header of .*: timed out after 30 ms/)
  await stage.stop()
})

scenario(
  'where a PROXY header is not required, bytes that are none come through, and so does silence',
  async (bench) => {
    const stage = echoing(bench, {
      proxyProtocol: { from: EVERYBODY, required: false },
      timeouts: { proxyHeaderMs: 200 },
    })
    const client = stage.connect()
    client.write('POST')
    await stage.until(() => client.received === 'POST')
    client.write(' it')
    await stage.until(() => client.received === 'POST it')
    const silent = stage.connect()
    await stage.until(() => stage.count('connect') === 2)
    silent.write('at last')
    await stage.until(() => silent.received === 'at last')
    const proxied = stage.connect()
    proxied.write(`${V2}hello`)
    await stage.until(() => proxied.received === 'hello')
    expect(stage.connections[2]?.peer).toEqual(REAL)
    const cut = stage.connect()
    cut.write('PRO')
    await stage.until(() => stage.count('disconnect') === 1)
    await stage.stop()
  },
  { calm: true },
)

scenario('a health check of the proxy itself has the ends of the socket', async (bench) => {
  const stage = echoing(bench, { proxyProtocol: { from: EVERYBODY } })
  const local = encodeProxyHeader({ ...HEADER, version: 2, command: 'local', transport: 'unknown' })
  const client = stage.connect()
  client.write(`${Buffer.from(local).toString('latin1')}check`)
  await stage.until(() => client.received === 'check')
  expect(only(stage).peer).toEqual(only(stage).rawPeer)
  await stage.stop()
})

scenario('the policy may turn away whom the PROXY header tells', async (bench) => {
  const stage = echoing(bench, {
    proxyProtocol: { from: EVERYBODY },
    policy: (peer) => peer.address !== '203.0.113.7',
  })
  const client = stage.connect()
  client.write(`${V1}hello`)
  await stage.until(() => client.isOver)
  expect(client.received).toBe('')
  await stage.until(() => stage.count('disconnect 1 policy') === 1)
  await stage.stop()
})
