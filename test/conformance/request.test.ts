/** `request` on Node's loop: what a response gives, what errors become, and how a request is aborted. */
import { getEventListeners } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Form, type RequestOptions, type Response, request } from '../../lib/index.ts'
import { originBody } from '../sim/origin.ts'
import { makeCertificate } from '../support/certificates.ts'
import { freePorts } from '../support/child-server.ts'
import { OriginThread } from './origin-client.ts'
import { closeServers, collect, failureOf, ownMulti, serve, until, wait } from './requests.ts'

const thread = new OriginThread()
let url = ''

beforeAll(async () => {
  url = `http://127.0.0.1:${(await thread.open({})).port}`
})
afterEach(closeServers)
afterAll(() => thread.stop())

describe('a response', () => {
  it('has the head at once', async () => {
    const response = await request(`${url}/bytes/5`)
    expect([response.status, response.ok, response.reason, response.httpVersion]).toEqual([200, true, 'Status', '1.1'])
    expect(response.headers.get('Content-Length')).toBe('5')
    expect([response.url, response.info.effectiveMethod]).toEqual([`${url}/bytes/5`, 'GET'])
    expect(Buffer.from(await response.bytes())).toEqual(Buffer.from(originBody('/bytes/5')))
    expect((await request(new URL(`${url}/status/404`))).ok).toBe(false)
  })

  it('is of the options of its own call, whatever was asked of that URL before', async () => {
    const mirror = await serve(({ method, headers }, answer) => answer.end(`${method} ${headers['x-mark']}`))
    const ask = async (given: RequestOptions): Promise<string> => (await request(mirror, given)).text()
    const options = { headers: { 'x-mark': 'one' }, method: 'POST' }
    expect([await ask(options), await ask(options)]).toEqual(['POST one', 'POST one'])
    options.headers['x-mark'] = 'two'
    expect(await ask(options)).toBe('POST two')
    expect(await ask({ headers: new Map([['x-mark', 'three']]) })).toBe('GET three')
    expect(await ask({})).toBe('GET undefined')
    for (let call = 0; call < 2; call++) expect(await failureOf(ask({ timeoutMs: -1 }))).toBeInstanceOf(RangeError)
    expect(await failureOf(ask({ signal: 5 as never }))).toBeInstanceOf(TypeError)
  })

  it('gives its body as bytes, an array buffer, text or JSON', async () => {
    const ask = (body: string | Uint8Array): Promise<Response> => request(`${url}/echo`, { body })
    const bytes = await (await ask('abc')).bytes()
    expect([bytes, bytes.buffer.byteLength]).toEqual([new Uint8Array([97, 98, 99]), 3])
    expect(Buffer.from(await (await ask('abc')).arrayBuffer()).toString()).toBe('abc')
    expect(await (await ask('zażółć\u{1f600}')).text()).toBe('zażółć\u{1f600}')
    expect(await (await ask('\ufeffx')).text()).toBe('x')
    expect(await (await ask(new Uint8Array([0xff]))).text()).toBe('\ufffd')
    expect(await (await ask('{"a":[1]}')).json()).toEqual({ a: [1] })
    expect(await failureOf((await ask('{')).json())).toBeInstanceOf(SyntaxError)
    expect(await (await request(`${url}/status/204`)).text()).toBe('')
  })

  it('gives its body whole, however long and in how many pieces it came', async () => {
    for (const path of ['/bytes/1500000', '/chunked/700000', '/close/300000', '/drip/20']) {
      const expected = Buffer.from(originBody(path))
      expect(expected.equals(await (await request(url + path)).bytes()), path).toBe(true)
      expect(expected.equals(await collect(await request(url + path))), path).toBe(true)
      expect(expected.equals(await collect((await request(url + path)).body)), path).toBe(true)
    }
  })

  it('hands out pieces in memory of their own', async () => {
    for await (const piece of await request(`${url}/chunked/300000`)) {
      expect(piece.buffer.byteLength).toBe(piece.length)
    }
  })

  it('fills the memory that the reader of its web stream brings', async () => {
    const reader = (await request(`${url}/bytes/10`)).body.getReader({ mode: 'byob' })
    const first = await reader.read(new Uint8Array(4))
    const second = await reader.read(new Uint8Array(100))
    expect(Buffer.concat([first.value as Uint8Array, second.value as Uint8Array])).toEqual(
      Buffer.from(originBody('/bytes/10')),
    )
    expect((await reader.read(new Uint8Array(1))).done).toBe(true)
  })

  it('knows its trailers once the body has ended', async () => {
    const response = await request(`${url}/trailers/300000`)
    expect(response.trailers).toBeNull()
    await response.text()
    expect(response.trailers?.get('x-sum')).toBe('1')
    const plain = await request(`${url}/bytes/1`)
    await plain.text()
    expect(plain.trailers?.size).toBe(0)
  })

  it('is read once', async () => {
    const read: Record<string, (response: Response) => Promise<unknown>> = {
      text: (response) => response.text(),
      iterator: async (response) => collect(response),
      stream: async (response) => collect(response.body),
    }
    for (const [first, readFirst] of Object.entries(read)) {
      for (const [second, readAgain] of Object.entries(read)) {
        // A web stream that was read to its end says so again.
        if (first === 'stream' && second === 'stream') continue
        const response = await request(`${url}/bytes/5`)
        expect(response.bodyUsed).toBe(false)
        await readFirst(response)
        expect(response.bodyUsed).toBe(true)
        const error = await failureOf(readAgain(response))
        expect(error, `${first}, ${second}`).toBeInstanceOf(TypeError)
      }
    }
  })

  it('may show its web stream without being read by it', async () => {
    const response = await request(`${url}/bytes/5`)
    expect(response.body).toBe(response.body)
    expect(response.bodyUsed).toBe(false)
    expect((await response.bytes()).length).toBe(5)
  })

  it('comes before its body, though that never ends', async () => {
    using own = ownMulti()
    const response = await request(`${url}/stall/1000`, { multi: own.multi })
    expect(response.status).toBe(200)
    expect(own.multi.running).toBe(1)
    const iterator = response[Symbol.asyncIterator]()
    expect((await iterator.next()).value?.length).toBe(500)
    await iterator.return()
    expect([own.multi.running, own.multi.stats.connections]).toEqual([0, 0])
  })

  it('comes over TLS as well', async () => {
    const { certificate, key } = makeCertificate({ commonName: 'test', names: ['127.0.0.1'] })
    const server = await serve((_asked, answer) => void answer.end('secret'), { cert: certificate, key })
    expect(await (await request(server, { ca: certificate })).text()).toBe('secret')
    expect((await failureOf(request(server))).code).toBe('PEER_FAILED_VERIFICATION')
  })

  it('is that of the last request when others went before it', async () => {
    const server = await serve((asked, answer) => {
      if (asked.url === '/from') answer.writeHead(302, { location: '/to' }).end('moved')
      else if (asked.headers.authorization === undefined)
        answer.writeHead(401, { 'www-authenticate': 'Basic' }).end('who')
      else answer.end(`hello ${asked.url}`)
    })
    const options = { followRedirects: true, username: 'me', password: 'secret' }
    const response = await request(`${server}/from`, { ...options, httpAuth: 'any' })
    expect([response.status, response.url, await response.text()]).toEqual([200, `${server}/to`, 'hello /to'])
    const refused = await request(`${server}/from`, { followRedirects: true })
    expect([refused.status, await refused.text()]).toEqual([401, 'who'])
    const unfollowed = await request(`${server}/from`)
    expect([unfollowed.status, await unfollowed.text()]).toEqual([302, 'moved'])
  })

  it('keeps the connection when it was read, and closes it when the rest is discarded', async () => {
    using own = ownMulti()
    const { multi } = own
    for (let i = 0; i < 3; i++) await (await request(`${url}/bytes/1000`, { multi })).text()
    expect(multi.stats).toMatchObject({ connections: 1, idleConnections: 1 })
    const response = await request(`${url}/stall/1000`, { multi })
    response.discard()
    response.discard()
    expect([response.bodyUsed, multi.stats.connections]).toEqual([true, 0])
    await expect(response.text()).rejects.toBeInstanceOf(TypeError)
  })

  it('is discarded when its scope is left, and when its reader leaves early', async () => {
    using own = ownMulti()
    const { multi } = own
    {
      await using response = await request(`${url}/stall/1000`, { multi })
      expect([response.status, multi.running]).toEqual([200, 1])
    }
    expect(multi.running).toBe(0)
    for await (const piece of await request(`${url}/stall/1000`, { multi })) {
      expect(piece.length).toBeGreaterThan(0)
      break
    }
    expect(multi.running).toBe(0)
    const reader = (await request(`${url}/stall/1000`, { multi })).body.getReader()
    await reader.read()
    const pending = reader.read()
    await reader.cancel()
    expect([(await pending).done, multi.running]).toEqual([true, 0])
  })
})

describe('options', () => {
  it('say what is sent', async () => {
    const server = await serve((asked, answer) => {
      const chunks: Buffer[] = []
      asked.on('data', (chunk: Buffer) => chunks.push(chunk))
      asked.on('end', () => {
        const { 'content-type': type = '', 'x-mark': mark = '' } = asked.headers
        answer.end(`${asked.method} ${type} ${mark} ${Buffer.concat(chunks)}`)
      })
    })
    const send = async (options: RequestOptions): Promise<string> => (await request(server, options)).text()
    expect(await send({ json: { a: 1 }, headers: { 'X-Mark': 'm' } })).toBe('POST application/json m {"a":1}')
    expect(await send({ json: null, method: 'PUT', headers: [['content-TYPE', 'x/y']] })).toBe('PUT x/y  null')
    expect(await send({ body: 'text', method: 'PATCH' })).toBe('PATCH   text')
    expect(await send({ json: undefined })).toBe('GET   ')
  })

  it('that request answers itself, or does not know, are refused by name', async () => {
    const refuse = async (options: object, text: string): Promise<void> => {
      const error = await failureOf(request(url, options as RequestOptions))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.message).toContain(text)
    }
    for (const key of ['url', 'onHead', 'onData', 'onTrailers', 'onFrame', 'connectOnly', 'data']) {
      await refuse({ [key]: () => {} }, `option ${key} is not for request`)
    }
    await refuse({ timeout: 1 }, 'unknown option "timeout"')
    await refuse({ signal: {} }, 'option signal must be an AbortSignal')
    await refuse({ multi: {} }, 'option multi must be a Multi')
    await refuse({ json: 1, body: 'x' }, 'option body must be left out when there is json, not "x"')
    await refuse({ json: 1, form: new Form() }, 'option form must be left out')
    await refuse({ json: () => {} }, 'option json must be a value that JSON can express')
    await refuse({ body: 5 }, 'option body')
    await refuse([], 'request options must be an object, not an array of 0')
    await expect(request(5 as never)).rejects.toThrow('the url must be a string or a URL, not 5')
    await expect(request('nonsense')).rejects.toThrow('option url')
    for (const scheme of ['ws', 'wss', 'tcp']) {
      await expect(request(`${scheme}://127.0.0.1:1/`)).rejects.toThrow('the url must be one of http or https')
    }
  })
})

describe('errors', () => {
  it('reject with what ended the transfer', async () => {
    const [port = 0] = await freePorts(1)
    const refused = await failureOf(request(`http://127.0.0.1:${port}/`))
    expect([refused.name, refused.code, refused.syscall]).toEqual(['TransferError', 'COULDNT_CONNECT', 'connect'])
    expect((await failureOf(request(`${url}/hang`, { timeoutMs: 30 }))).code).toBe('OPERATION_TIMEDOUT')
    expect((await failureOf(request(`${url}/early-close`))).code).toBe('GOT_NOTHING')
    expect((await failureOf(request(`${url}/status/500`, { failOnError: true }))).code).toBe('HTTP_RETURNED_ERROR')
  })

  it('after the head reject whoever reads the body, behind the bytes that came', async () => {
    const ask = (): Promise<Response> => request(`${url}/early-close/1000`)
    expect((await failureOf((await ask()).text())).code).toBe('PARTIAL_FILE')
    let bytes = 0
    const reading = (async () => {
      for await (const piece of await ask()) bytes += piece.length
    })()
    expect((await failureOf(reading)).code).toBe('PARTIAL_FILE')
    expect(bytes).toBe(500)
    expect((await failureOf(collect((await ask()).body))).code).toBe('PARTIAL_FILE')
  })

  it('of a body that nobody reads trouble nobody', async () => {
    using own = ownMulti()
    const { multi } = own
    const response = await request(`${url}/early-close/1000`, { multi })
    await until(() => multi.running === 0)
    expect(response.trailers?.size).toBe(0)
    expect((await failureOf(response.text())).code).toBe('PARTIAL_FILE')
  })
})

describe('a signal', () => {
  it('that was aborted rejects with its reason, and nothing is begun', async () => {
    using own = ownMulti()
    const { multi } = own
    await expect(request(`${url}/bytes/1`, { multi, signal: AbortSignal.abort('why') })).rejects.toBe('why')
    expect((await failureOf(request(url, { multi, signal: AbortSignal.abort() }))).name).toBe('AbortError')
    expect(multi.stats.added).toBe(0)
  })

  it('ends a request that waits, and a body that is read', async () => {
    using own = ownMulti()
    const { multi } = own
    const controller = new AbortController()
    const { signal } = controller
    const waiting = failureOf(request(`${url}/hang`, { multi, signal }))
    const response = await request(`${url}/stall/1000`, { multi, signal })
    const reading = failureOf(response.text())
    const iterated = await request(`${url}/stall/1000`, { multi, signal })
    const iterating = failureOf(collect(iterated))
    const streaming = failureOf(collect((await request(`${url}/stall/1000`, { multi, signal })).body))
    controller.abort()
    expect(multi.stats).toMatchObject({ running: 0, connections: 0 })
    expect(new Set(await Promise.all([waiting, reading, iterating, streaming]))).toEqual(new Set([signal.reason]))
    expect((signal.reason as Error).name).toBe('AbortError')
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('that aborts afterwards changes nothing', async () => {
    const controller = new AbortController()
    const response = await request(`${url}/bytes/5`, { signal: controller.signal })
    await until(() => response.trailers !== null)
    controller.abort()
    expect((await response.bytes()).length).toBe(5)
  })

  it('may abort inside a callback of the engine', async () => {
    const controller = new AbortController()
    const onInformational = (): void => controller.abort('enough')
    await expect(request(`${url}/1xx/5`, { signal: controller.signal, onInformational })).rejects.toBe('enough')
  })

  it('of a timeout ends with its reason', async () => {
    const error = await failureOf(request(`${url}/hang`, { signal: AbortSignal.timeout(30) }))
    expect(error.name).toBe('TimeoutError')
  })

  it('has one listener, however many requests share it', async () => {
    const warnings: Error[] = []
    const heard = (warning: Error): void => void warnings.push(warning)
    process.on('warning', heard)
    const { signal } = new AbortController()
    const responses = Array.from({ length: 1000 }, () => request(`${url}/bytes/50`, { signal }))
    expect(getEventListeners(signal, 'abort').length).toBe(1)
    const texts = await Promise.all(responses.map(async (response) => (await response).bytes()))
    expect(texts.every((bytes) => bytes.length === 50)).toBe(true)
    expect(getEventListeners(signal, 'abort')).toEqual([])
    await wait(1)
    process.off('warning', heard)
    expect(warnings).toEqual([])
  })
})
