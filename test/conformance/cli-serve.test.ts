/** What `sockmux serve` answers. */
import { Agent } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  ask,
  CHANGED_AT,
  INSTALL_MS_MAX,
  install,
  killAll,
  Served,
  serve,
  site,
  uninstall,
} from '../support/served-command.ts'

beforeAll(install, INSTALL_MS_MAX)
afterEach(killAll)
afterAll(uninstall)

describe('files', () => {
  it('are served whole, in part, and not again', async () => {
    const served = await serve(site())
    const whole = await ask(served, '/hello.txt?query')
    expect(whole).toMatchObject({ status: 200, body: 'hello, world' })
    expect(whole.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '12',
      'last-modified': CHANGED_AT,
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
    })
    const part = await ask(served, '/hello.txt', { headers: { range: 'bytes=7-' } })
    expect(part).toMatchObject({ status: 206, body: 'world' })
    expect(part.headers['content-range']).toBe('bytes 7-11/12')
    expect((await ask(served, '/hello.txt', { headers: { range: 'bytes=20-' } })).status).toBe(416)
    const etag = whole.headers.etag as string
    expect(await ask(served, '/hello.txt', { headers: { 'if-none-match': etag } })).toMatchObject({
      status: 304,
      body: '',
    })
    expect((await ask(served, '/hello.txt', { headers: { 'if-modified-since': CHANGED_AT } })).status).toBe(304)
  })

  it('answer HEAD without a body, and nothing but GET and HEAD', async () => {
    const served = await serve(site())
    const head = await ask(served, '/hello.txt', { method: 'HEAD' })
    expect(head).toMatchObject({ status: 200, body: '' })
    expect(head.headers['content-length']).toBe('12')
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const refused = await ask(served, '/hello.txt', { method })
      expect(refused.status).toBe(405)
      expect(refused.headers.allow).toBe('GET, HEAD')
    }
  })

  it('have the type of the name that was asked for, through links inside', async () => {
    const served = await serve(site())
    const { status, headers, body } = await ask(served, '/sub/deep/page.json')
    expect({ status, type: headers['content-type'], body }).toEqual({
      status: 200,
      type: 'application/json',
      body: '{}',
    })
  })

  it('come over kept connections', async () => {
    const served = await serve(site())
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ports = new Set<number | undefined>()
    for (let i = 0; i < 5; i++) ports.add((await ask(served, '/hello.txt', { agent })).port)
    agent.destroy()
    expect(ports.size).toBe(1)
  })
})

describe('paths', () => {
  const refused: readonly (readonly [target: string, status: number])[] = [
    ['/missing', 404],
    ['/hello.txt/', 404],
    ['/hello.txt/more', 404],
    ['/../outside/secret.txt', 404],
    ['/sub/../../outside/secret.txt', 404],
    ['/%2e%2e/outside/secret.txt', 404],
    ['/%2e%2e%2foutside%2fsecret.txt', 404],
    ['/%252e%252e/outside/secret.txt', 404],
    ['/sub%2fdata', 404],
    ['/out', 404],
    ['/out/', 404],
    ['/out/secret.txt', 404],
    ['/secret.txt', 404],
    ['/dangling', 404],
    ['/loop', 404],
    ['/.hidden', 404],
    ['/%2ehidden', 404],
    ['/hello.txt%00', 400],
    ['/%', 400],
    ['/%ff', 400],
    ['//evil.example/..', 404],
    [`/${'x'.repeat(300)}`, 404],
    [`/${'x/'.repeat(3000)}`, 404],
  ]
  it('lead nowhere but below the directory', async () => {
    const served = await serve(site())
    for (const [target, status] of refused) {
      const answer = await ask(served, target)
      expect([target, answer.status]).toEqual([target, status])
      expect(answer.body).not.toContain('secret')
    }
    expect(served.status).toBe(undefined)
  })

  it('are decoded once, and may be absolute', async () => {
    const served = await serve(site())
    expect((await ask(served, '/%68ello.txt')).status).toBe(200)
    expect((await ask(served, '/./sub//data')).status).toBe(200)
    expect((await ask(served, 'http://any.example/hello.txt')).status).toBe(200)
    expect((await ask(served, '/caf%C3%A9/')).status).toBe(200)
  })

  it('may be hidden, or lead out, when that was asked for', async () => {
    const served = await serve('--all', '--follow', site())
    expect((await ask(served, '/.hidden')).body).toBe('hidden')
    expect((await ask(served, '/out/secret.txt')).body).toBe('secret')
    expect((await ask(served, '/secret.txt')).body).toBe('secret')
    expect((await ask(served, '/../outside/secret.txt')).status).toBe(404)
    const { body } = await ask(served, '/')
    for (const name of ['.hidden', 'out/', 'secret.txt']) expect(body).toContain(`>${name}</a>`)
  })
})

describe('directories', () => {
  it('are listed: directories first, by name, escaped, without what would not be served', async () => {
    const served = await serve(site())
    const { headers, body } = await ask(served, '/')
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    const links = [...body.matchAll(/<a href="([^"]*)">([^<]*)<\/a>/g)].map(([, href, text]) => [href, text])
    expect(links).toEqual([
      ['./caf%C3%A9/', 'café/'],
      ['./sub/', 'sub/'],
      ["./%3Cb%3E%26%22'.txt", '&lt;b&gt;&amp;&quot;&#39;.txt'],
      ['./hello.txt', 'hello.txt'],
    ])
    for (const [href] of links) expect((await ask(served, `/${(href as string).slice(2)}`)).status).toBe(200)
    expect((await ask(served, '/caf%C3%A9/')).body).toContain('<a href="../">../</a>')
  })

  it('are not when that was asked for; index.html is shown all the same', async () => {
    const served = await serve('--no-listing', site())
    expect((await ask(served, '/')).status).toBe(403)
    expect(await ask(served, '/sub/')).toMatchObject({ status: 200, body: '<p>index</p>' })
  })

  it('are redirected to with a slash, on this server', async () => {
    const served = await serve(site())
    for (const [target, location] of [
      ['/sub', '/sub/'],
      ['/sub?a=1&b', '/sub/?a=1&b'],
      ['//sub', '/sub/'],
      ['/caf%c3%a9', '/caf%C3%A9/'],
    ] as const) {
      const { status, headers } = await ask(served, target)
      expect([status, headers.location]).toEqual([301, location])
    }
  })

  it('are the current one when none is named', async () => {
    const served = await new Served(['--port', '0'], site()).begun()
    expect((await ask(served, '/hello.txt')).status).toBe(200)
  })
})
