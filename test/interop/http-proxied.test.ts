/** Our HTTP server behind the proxies that most servers stand behind: nginx and haproxy. */
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type HttpServerOptions, webSocket } from '../../lib/index.ts'
import { accepts, type ChildServer, makeDirectory, startProgram, withFreePorts } from '../support/child-server.ts'
import { startHaproxy } from '../support/haproxy.ts'
import { HELLO, type HttpSite, until, withSite } from '../support/http-site.ts'
import { sha256 } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { patternBytes } from '../support/test-files.ts'

const UPLOAD_BYTES = 1_000_000
const REQUESTS = 50

interface Proxy {
  readonly url: string
  stop(): Promise<void>
}

/** A reverse proxy that keeps a few connections to our server open. `directives` go into its server. */
async function nginxBefore(path: string, site: HttpSite, directives = '', version = '1.1'): Promise<Proxy> {
  const started = await withFreePorts(1, async (ports): Promise<ChildServer & { port: number }> => {
    const directory = makeDirectory('nginx-before')
    mkdirSync(`${directory}/temp`)
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((name) => `${name}_temp_path ${directory}/temp/${name};`)
      .join(' ')
    const port = ports[0] as number
    const config = `daemon off; worker_processes 1;
pid ${directory}/nginx.pid; error_log ${directory}/output.log notice;
${process.getuid?.() === 0 ? `user ${userInfo().username};` : ''}
events { worker_connections 256; }
http {
  access_log off; ${temporary} client_max_body_size 0;
  upstream ours { server 127.0.0.1:${site.port}; keepalive 4; }
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://ours; proxy_http_version ${version};
      proxy_set_header Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      ${directives}
    }
  }
}
`
    writeFileSync(`${directory}/nginx.conf`, config)
    const args = ['-p', directory, '-c', `${directory}/nginx.conf`, '-e', `${directory}/output.log`]
    const server = await startProgram(path, args, directory, () => accepts({ host: '127.0.0.1', port }))
    return { ...server, port }
  })
  return { url: `http://127.0.0.1:${started.port}`, stop: started.stop }
}

async function haproxyBefore(path: string, site: HttpSite, serverOptions: string): Promise<Proxy> {
  const haproxy = await startHaproxy(
    path,
    1,
    {},
    (_, ports) => `
  option http-keep-alive
  http-reuse always
frontend all
  bind 127.0.0.1:${ports[0]}
  option forwardfor
  default_backend ours
backend ours
  server one 127.0.0.1:${site.port} ${serverOptions}`,
  )
  return { url: `http://127.0.0.1:${haproxy.ports[0]}`, stop: haproxy.stop }
}

async function expectServed(url: string, site: HttpSite): Promise<void> {
  const upload = patternBytes(UPLOAD_BYTES, 'proxied')
  for (let i = 0; i < REQUESTS; i++) expect(await (await fetch(`${url}/hello`)).text()).toBe(HELLO)
  expect(await (await fetch(`${url}/chunked`)).text()).toBe('one two three')
  const echoed = await fetch(`${url}/echo`, { method: 'POST', body: new Uint8Array(upload) })
  expect(sha256(new Uint8Array(await echoed.arrayBuffer()))).toBe(sha256(upload))
  const file = await fetch(`${url}/file.bin`)
  expect(sha256(new Uint8Array(await file.arrayBuffer()))).toBe(site.sha256)
  const part = await fetch(`${url}/file.bin`, { headers: { range: 'bytes=10-19' } })
  expect([part.status, (await part.arrayBuffer()).byteLength]).toEqual([206, 10])
  const again = await fetch(`${url}/file.bin`, { headers: { 'if-none-match': part.headers.get('etag') as string } })
  expect(again.status).toBe(304)
  expect((await fetch(`${url}/hello`, { method: 'HEAD' })).headers.get('content-length')).toBe(String(HELLO.length))
  const form = await fetch(`${url}/form`, { method: 'POST', body: new URLSearchParams({ a: '1' }) })
  expect(await form.json()).toMatchObject([{ name: 'a', content: '1' }])
  expect((await fetch(`${url}/missing`)).status).toBe(404)
  expect(site.errors).toEqual([])
  expect(new Set(site.ends.map((end) => end.split(' ')[2]))).toEqual(new Set(['completed']))
}

/** Through a proxy that knows what an upgrade is. */
async function expectWebSocket(url: string): Promise<void> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/socket`)
  const received: string[] = []
  socket.on('open', () => socket.send('through'))
  socket.on('message', (data) => {
    received.push(String(data))
    if (received.length < 3) socket.send(`${data}, again`)
    else socket.close(4000)
  })
  const [code] = await once(socket, 'close')
  expect({ received, code }).toEqual({
    received: ['through', 'through, again', 'through, again, again'],
    code: 4000,
  })
}

const ECHO: Partial<HttpServerOptions> = {
  handler: (request) => webSocket(request, { onMessage: (socket, { type, data }) => void socket.send(data, { type }) }),
}

async function behind(proxy: Proxy, use: (url: string) => Promise<void>): Promise<void> {
  try {
    await use(proxy.url)
  } finally {
    await proxy.stop()
  }
}

describeWithPeer('nginx', (path) => {
  it('keeps its connections to our server', async () => {
    await withSite({}, async (site) => {
      await behind(await nginxBefore(path, site), async (url) => {
        await expectServed(url, site)
        expect(site.server.stats().accepted).toBeLessThan(10)
      })
    })
  })

  it('passes on pieces as they come, both ways, without buffers', async () => {
    await withSite({}, async (site) => {
      const directives = 'proxy_buffering off; proxy_request_buffering off;'
      await behind(await nginxBefore(path, site, directives), (url) => expectServed(url, site))
    })
  })

  it('speaks HTTP/1.0 to our server', async () => {
    await withSite({}, async (site) => {
      await behind(await nginxBefore(path, site, '', '1.0'), async (url) => {
        await expectServed(url, site)
        expect(await (await fetch(`${url}/info`)).json()).toMatchObject({ httpVersion: '1.0' })
      })
    })
  })

  it('passes WebSocket on', async () => {
    await withSite(ECHO, async (site) => behind(await nginxBefore(path, site), expectWebSocket))
  })

  it('retries nothing and loses nothing while our server restarts', async () => {
    await withSite({}, async (site) => {
      await behind(await nginxBefore(path, site), async (url) => {
        for (let i = 0; i < 3; i++) {
          const answers = Array.from({ length: 20 }, () => fetch(`${url}/hello`))
          const restarted = site.server.restart({ graceMs: 5000 })
          for (const answer of await Promise.all(answers)) expect(answer.status).toBe(200)
          await restarted
        }
      })
    })
  })
})

describeWithPeer('haproxy', (path) => {
  it('keeps its connections to our server', async () => {
    await withSite({}, async (site) => {
      await behind(await haproxyBefore(path, site, 'check inter 200ms'), async (url) => {
        await expectServed(url, site)
        const answer = await fetch(`${url}/info`)
        expect(await answer.json()).toMatchObject({ forwardedFor: '127.0.0.1' })
      })
    })
  })

  it('passes WebSocket on', async () => {
    const proxyProtocol = { from: ['127.0.0.1'], required: true }
    await withSite({ ...ECHO, proxyProtocol }, async (site) => {
      await behind(await haproxyBefore(path, site, 'send-proxy-v2'), expectWebSocket)
    })
  })

  it.each([
    ['1', 'send-proxy'],
    ['2', 'send-proxy-v2'],
    ['2 with its checksum and what it knows', 'send-proxy-v2 proxy-v2-options crc32c,unique-id'],
  ])('says whose client it is in a PROXY header of version %s', async (_, option) => {
    const proxyProtocol = { from: ['127.0.0.1'], required: true }
    await withSite({ proxyProtocol }, async (site) => {
      await behind(await haproxyBefore(path, site, option), async (url) => {
        const told = (await (await fetch(`${url}/info`)).json()) as Record<'peer' | 'rawPeer', { port: number }>
        expect(told.peer).toMatchObject({ address: '127.0.0.1' })
        expect(told.rawPeer).toMatchObject({ address: '127.0.0.1' })
        expect(told.peer.port).not.toBe(told.rawPeer.port)
        await expectServed(url, site)
      })
      await until(() => site.server.stats().connections === 0)
    })
  })
})
