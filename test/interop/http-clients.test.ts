/** Our HTTP server and the clients of other platforms: Python's http.client, undici, Node's own. */
import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { Client, Pool, FormData as UndiciForm, request as undiciRequest } from 'undici'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { webSocket } from '../../lib/index.ts'
import { FILE_BYTES, HELLO, runClient, until, withSite } from '../support/http-site.ts'
import { sha256 } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { patternBytes } from '../support/test-files.ts'

const UPLOAD_BYTES = 1_500_000
const UPLOAD = patternBytes(UPLOAD_BYTES, 'clients')

/** All over one connection: what it is told, and bodies of both kinds. */
const PYTHON = `
import hashlib, http.client, json, os, sys
port, path = int(sys.argv[1]), sys.argv[2]
told = {}
c = http.client.HTTPConnection('127.0.0.1', port, timeout=15)
ids = set()
for i in range(10):
    c.request('GET', '/info?%d' % i)
    ids.add(json.loads(c.getresponse().read())['id'])
told['connections'] = len(ids)
c.request('HEAD', '/file.bin')
r = c.getresponse()
told['head'] = [r.status, int(r.getheader('content-length')), len(r.read())]
c.request('GET', '/chunked')
r = c.getresponse()
told['chunked'] = [r.getheader('transfer-encoding'), r.read().decode()]
def pieces():
    with open(path, 'rb') as f:
        while True:
            piece = f.read(50000)
            if not piece: return
            yield piece
chunked = {'Transfer-Encoding': 'chunked'}
for name, body, headers in [('length', open(path, 'rb').read(), {}), ('chunks', pieces(), chunked)]:
    c.request('POST', '/echo', body=body, headers=headers, encode_chunked=name == 'chunks')
    told[name] = hashlib.sha256(c.getresponse().read()).hexdigest()
c.request('GET', '/file.bin', headers={'Range': 'bytes=100-199'})
r = c.getresponse()
told['range'] = [r.status, r.getheader('content-range'), len(r.read())]
c.putrequest('GET', '/hello')
c.putheader('Connection', 'close')
c.endheaders()
r = c.getresponse()
told['close'] = [r.getheader('connection'), r.read().decode()]
print(json.dumps(told))
`

describeWithPeer('python3', (path) => {
  it('is served over one connection of http.client', async () => {
    await withSite({}, async (site) => {
      const file = join(site.directory, 'upload')
      writeFileSync(file, UPLOAD)
      const { stdout, stderr } = await runClient(path, ['-c', PYTHON, String(site.port), file])
      expect(stderr).toBe('')
      expect(JSON.parse(stdout)).toEqual({
        connections: 1,
        head: [200, FILE_BYTES, 0],
        chunked: ['chunked', 'one two three'],
        length: sha256(UPLOAD),
        chunks: sha256(UPLOAD),
        range: [206, `bytes 100-199/${FILE_BYTES}`, 100],
        close: ['close', HELLO],
      })
      expect(site.server.stats().accepted).toBe(1)
    })
  })

  it('is served by urllib, with Digest as old as it knows it', async () => {
    await withSite({}, async (site) => {
      const script = `
import sys, urllib.error, urllib.request
url = sys.argv[1]
print(urllib.request.urlopen(url + '/hello', timeout=15).read().decode().strip())
try: urllib.request.urlopen(url + '/refuse', timeout=15)
except urllib.error.HTTPError as e: print(e.code, e.read().decode().strip())
password = urllib.request.HTTPPasswordMgrWithDefaultRealm()
password.add_password(None, url, 'me', 'secret')
opener = urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(password))
print(opener.open(url + '/md5', timeout=15).read().decode().strip())
`
      const { stdout, stderr } = await runClient(path, ['-c', script, site.url])
      expect(stderr).toBe('')
      expect(stdout).toBe('Hello, world!\n403 no\nme 0\n')
    })
  })
})

describe('undici', () => {
  it('is answered in order when it asks ahead', async () => {
    await withSite({}, async (site) => {
      const client = new Client(site.url, { pipelining: 10 })
      const paths = Array.from({ length: 50 }, (_, index) => `/info?${index}`)
      const answers = await Promise.all(paths.map((path) => client.request({ path, method: 'GET' })))
      const told = await Promise.all(answers.map(({ body }) => body.json() as Promise<{ id: number; url: string }>))
      expect(told.map(({ url }) => url)).toEqual(paths)
      expect(new Set(told.map(({ id }) => id)).size).toBe(1)
      await client.close()
    })
  })

  it('streams both ways', async () => {
    await withSite({}, async (site) => {
      const pool = new Pool(site.url, { connections: 4 })
      const uploads = Array.from({ length: 8 }, async (_, index) => {
        const body = index % 2 === 0 ? UPLOAD : Readable.from([UPLOAD.subarray(0, 1000), UPLOAD.subarray(1000)])
        const answer = await pool.request({ path: '/echo', method: 'PUT', body })
        return sha256(new Uint8Array(await answer.body.arrayBuffer()))
      })
      expect(new Set(await Promise.all(uploads))).toEqual(new Set([sha256(UPLOAD)]))
      await pool.close()
      expect(site.server.stats().accepted).toBeLessThanOrEqual(4)
    })
  })

  it('sends a form, and breaks off an answer that it does not want', async () => {
    await withSite({}, async (site) => {
      const form = new UndiciForm()
      form.append('a', '1')
      form.append('file', new Blob([UPLOAD.subarray(0, 1000)]), 'f.bin')
      const { body } = await undiciRequest(`${site.url}/form`, { method: 'POST', body: form })
      expect(await body.json()).toMatchObject([{ content: '1' }, { filename: 'f.bin', content: 1000 }])
      const abort = new AbortController()
      const cut = await undiciRequest(`${site.url}/file.bin`, { signal: abort.signal })
      cut.body.on('error', () => {})
      abort.abort()
      await until(() => site.ends.length === 2)
      expect(site.ends[1]).toMatch(/^GET \/file\.bin (?:completed|client-abort)$/)
      expect(await (await fetch(`${site.url}/hello`)).text()).toBe(HELLO)
    })
  })
})

describe("Node's own client", () => {
  it('waits to be told to go on, and keeps its connection', async () => {
    await withSite({}, async (site) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      for (let i = 0; i < 5; i++) {
        const headers = { expect: '100-continue', 'content-length': UPLOAD_BYTES }
        const received = await new Promise<Buffer>((resolve, reject) => {
          const outgoing = request(`${site.url}/echo`, { method: 'POST', headers, agent }, async (response) => {
            resolve(Buffer.concat(await response.toArray()))
          })
          outgoing.once('error', reject)
          outgoing.once('continue', () => outgoing.end(UPLOAD))
          outgoing.flushHeaders()
        })
        expect(sha256(received)).toBe(sha256(UPLOAD))
      }
      agent.destroy()
      expect(site.server.stats().accepted).toBe(1)
    })
  })

  it('hears hints before the answer, and trailers behind it', async () => {
    const link = '</style.css>; rel=preload'
    const handler = (given: { inform(status: number, headers: Record<string, string>): void }) => {
      given.inform(103, { link })
      return { body: ['a', 'b'].values(), trailers: { 'x-sum': '2' } }
    }
    await withSite({ handler }, async (site) => {
      const told = await new Promise((resolve, reject) => {
        const hints: unknown[] = []
        const outgoing = request(site.url, async (response) => {
          const body = Buffer.concat(await response.toArray()).toString()
          resolve({ hints, body, trailers: response.trailers })
        })
        outgoing.on('information', ({ statusCode, headers }) => hints.push([statusCode, headers['link']]))
        outgoing.once('error', reject)
        outgoing.end()
      })
      expect(told).toEqual({ hints: [[103, link]], body: 'ab', trailers: { 'x-sum': '2' } })
    })
  })

  it('speaks WebSocket with ws', async () => {
    const handler = (given: Parameters<typeof webSocket>[0]) =>
      webSocket(given, { onMessage: (socket, { type, data }) => void socket.send(data, { type }) })
    await withSite({ handler }, async (site) => {
      const socket = new WebSocket(site.url.replace('http', 'ws'))
      const received: string[] = []
      const note = (text: string): void => {
        if (received.push(text) === 3) socket.close(1000)
      }
      socket.on('open', () => {
        socket.send('text')
        socket.send(UPLOAD)
        socket.ping('are you there')
      })
      socket.on('pong', (data) => note(`pong ${data}`))
      socket.on('message', (data, isBinary) => note(isBinary ? sha256(data as Buffer) : String(data)))
      await new Promise((resolve) => socket.once('close', resolve))
      expect(received.sort()).toEqual([sha256(UPLOAD), 'pong are you there', 'text'].sort())
      expect(site.ends).toEqual(['GET / upgraded'])
    })
  })
})
