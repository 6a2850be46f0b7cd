import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HstsStore, type Message, type ResponseHead, request, Transfer } from '../../lib/index.ts'
import { makeCertificate } from '../support/certificates.ts'
import { scenario } from './drivers.ts'
import { fetchOne } from './fetches.ts'
import { closeServers, failureOf, ownMulti, serve, until } from './requests.ts'

const HOST = 'secure.test'

scenario('asks no host in the clear that wants TLS', async (bench) => {
  const hsts = new HstsStore({ entries: [{ host: HOST, includeSubDomains: true, expires: null }] })
  for (const host of [HOST, `sub.${HOST}`, `${HOST}.`]) {
    const fetch = await fetchOne(bench, bench.multi(), {
      url: `http://${host}:${bench.port}/bytes/10`,
      resolve: [`*:${bench.port}:${bench.address}`],
      hsts,
      timeoutMs: 100,
    })
    expect(fetch.outcome).not.toBe('OK')
    const authority = bench.port === 80 ? host : `${host}:${bench.port}`
    expect(fetch.transfer.info.effectiveUrl).toBe(`https://${authority}/bytes/10`)
  }
  expect((await bench.look()).requests).toEqual([])
})

scenario('asks other hosts as it is told to', async (bench) => {
  const hsts = new HstsStore({ entries: [{ host: HOST, includeSubDomains: true, expires: null }] })
  const multi = bench.multi()
  for (const url of [bench.url('/bytes/10'), `http://other.test:${bench.port}/bytes/10`]) {
    const fetch = await fetchOne(bench, multi, { url, resolve: [`*:${bench.port}:${bench.address}`], hsts })
    expect(fetch.outcome, fetch.message?.error?.message).toBe('OK')
  }
})

describe('a host that wants TLS', () => {
  const authority = makeCertificate({ commonName: 'Authority', isAuthority: true })
  const server = makeCertificate({ commonName: HOST, names: [HOST, `*.${HOST}`, '127.0.0.1'], issuer: authority })
  const tls = { ca: authority.certificate }
  const seen: { readonly url: string; readonly headers: IncomingMessage['headers'] }[] = []
  let secure = ''
  let plain = ''
  let port = 0
  let resolve: string[] = []

  beforeAll(async () => {
    secure = await serve(
      (incoming, response) => {
        seen.push({ url: incoming.url ?? '', headers: incoming.headers })
        const [, verb, ...rest] = (incoming.url ?? '').split('/')
        if (verb === 'hsts') response.setHeader('Strict-Transport-Security', decodeURIComponent(rest.join('/')))
        if (verb === 'two')
          response.setHeader('Strict-Transport-Security', ['max-age=60', 'max-age=60; includeSubDomains'])
        if (verb === 'refuse') response.statusCode = 404
        response.end('over TLS')
      },
      { key: server.key, cert: server.certificate },
    )
    port = Number(new URL(secure).port)
    plain = await serve((incoming, response) => {
      response.setHeader('Strict-Transport-Security', 'max-age=60')
      if (incoming.url === '/go') response.writeHead(302, { location: `http://${HOST}:${port}/there` })
      response.end()
    })
    resolve = [`*:${port}:127.0.0.1`, `*:${new URL(plain).port}:127.0.0.1`]
  })
  afterAll(closeServers)

  it('is learnt from a response over TLS, and asked over TLS from then on', async () => {
    const hsts = new HstsStore()
    using own = ownMulti()
    const options = { multi: own.multi, hsts, resolve, ...tls }
    await (await request(`https://${HOST}:${port}/hsts/max-age=60`, options)).discard()
    expect(hsts.entries().map(({ host }) => host)).toEqual([HOST])
    const response = await request(`http://${HOST}:${port}/later?x=1`, options)
    expect(await response.text()).toBe('over TLS')
    expect(response.url).toBe(`https://${HOST}:${port}/later?x=1`)
    expect(own.multi.stats.connections, 'the same connection serves both').toBe(1)
  })

  it('is asked at the port of https where none is named', async () => {
    const hsts = new HstsStore({ entries: [{ host: HOST, includeSubDomains: false, expires: null }] })
    using own = ownMulti()
    const connectTo = [`${HOST}:443:127.0.0.1:${port}`]
    const response = await request(`http://${HOST}/default`, { multi: own.multi, hsts, connectTo, ...tls })
    expect(await response.text()).toBe('over TLS')
    expect(seen.at(-1)?.headers.host).toBe(HOST)
    expect(response.url).toBe(`https://${HOST}/default`)
  })

  it('is asked over TLS behind a redirect, wherever redirects may lead', async () => {
    const hsts = new HstsStore({ entries: [{ host: HOST, includeSubDomains: false, expires: null }] })
    using own = ownMulti()
    const options = { multi: own.multi, hsts, resolve, followRedirects: true, ...tls }
    const response = await request(`${plain}/go`, { ...options, redirectProtocols: ['https'] })
    expect(await response.text()).toBe('over TLS')
    expect(response.url).toBe(`https://${HOST}:${port}/there`)
    const failure = await failureOf(
      request(`${plain}/go`, { ...options, hsts: new HstsStore(), redirectProtocols: ['https'] }),
    )
    expect(failure.code).toBe('UNSUPPORTED_PROTOCOL')
  })

  it('gets the secrets that were given for it in the clear', async () => {
    const hsts = new HstsStore({ entries: [{ host: HOST, includeSubDomains: true, expires: null }] })
    using own = ownMulti()
    const options = { multi: own.multi, hsts, resolve, ...tls, username: 'me', password: 'secret', cookie: 'a=b' }
    await (await request(`http://${HOST}:${port}/`, { ...options, headers: { 'x-own': '1' } })).discard()
    const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`
    expect(seen.at(-1)?.headers).toMatchObject({ authorization: basic, cookie: 'a=b', 'x-own': '1' })
    await (await request(`http://you:hidden@${HOST}:${port}/`, { multi: own.multi, hsts, resolve, ...tls })).discard()
    expect(seen.at(-1)?.headers.authorization).toBe(`Basic ${Buffer.from('you:hidden').toString('base64')}`)
  })

  it('is learnt from any status, from the first field only, and taken back', async () => {
    const hsts = new HstsStore()
    using own = ownMulti()
    const ask = async (path: string): Promise<void> => {
      await (await request(`https://${HOST}:${port}${path}`, { multi: own.multi, hsts, resolve, ...tls })).discard()
    }
    await ask('/two')
    expect(hsts.entries().map(({ includeSubDomains }) => includeSubDomains)).toEqual([false])
    await ask('/hsts/max-age=0')
    expect(hsts.size).toBe(0)
    await ask('/hsts/max-age=60;%20includeSubDomains')
    expect(hsts.has(`a.${HOST}`)).toBe(true)
    await ask('/hsts/nonsense')
    expect(hsts.has(`a.${HOST}`)).toBe(true)
  })

  it('is not learnt in the clear, without a right certificate, or as an address', async () => {
    const hsts = new HstsStore()
    using own = ownMulti()
    const asks: readonly [string, object][] = [
      [`http://${HOST}:${new URL(plain).port}/`, {}],
      [`https://127.0.0.1:${port}/hsts/max-age=60`, tls],
      [`https://${HOST}:${port}/hsts/max-age=60`, { verifyPeer: false }],
      [`https://${HOST}:${port}/hsts/max-age=60`, { ...tls, verifyHost: false }],
      [`https://other.test:${port}/hsts/max-age=60`, { ...tls, serverName: HOST }],
    ]
    for (const [url, options] of asks) {
      await (await request(url, { multi: own.multi, hsts, resolve, ...options })).discard()
    }
    expect(hsts.size).toBe(0)
    const failure = await failureOf(
      request(`https://${HOST}:${port}/hsts/max-age=60`, { multi: own.multi, hsts, resolve }),
    )
    expect(failure.code).toBe('PEER_FAILED_VERIFICATION')
    expect(hsts.size).toBe(0)
  })

  it('is asked over TLS for raw connections and for WebSockets as well', async () => {
    const hsts = new HstsStore({ entries: [{ host: HOST, includeSubDomains: false, expires: null }] })
    using own = ownMulti()
    const raw = new Transfer({ url: `http://${HOST}:${port}/`, connectOnly: true, hsts, resolve, ...tls })
    own.multi.add(raw)
    const messages: Message[] = []
    const told = (): boolean => {
      const message = own.multi.infoRead()
      if (message !== undefined) messages.push(message)
      return messages.length > 0
    }
    await until(told)
    expect(raw.info.appConnectTime).toBeGreaterThan(0)
    own.multi.remove(raw)
    const heads: ResponseHead[] = []
    const socket = new Transfer({
      url: `ws://${HOST}:${port}/refuse`,
      hsts,
      resolve,
      ...tls,
      onHead: (head) => void heads.push(head),
    })
    own.multi.add(socket)
    messages.length = 0
    await until(told)
    expect(messages[0]?.error?.code).toBe('HTTP_RETURNED_ERROR')
    expect(heads.map(({ status }) => status)).toEqual([404])
    expect(socket.info.effectiveUrl).toBe(`wss://${HOST}:${port}/refuse`)
    own.multi.remove(socket)
  })
})
