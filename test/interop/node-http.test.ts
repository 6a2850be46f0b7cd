import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, TransferError } from '../../lib/index.ts'
import { type ChildServer, startModule } from '../support/child-server.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, Recording, runTransfer, runTransfers, sha256 } from '../support/outcomes.ts'
import { patternBytes } from '../support/test-files.ts'

interface Ports {
  readonly port: number
  readonly oldPort: number
}

interface Description {
  readonly method: string
  readonly url: string
  readonly httpVersion: string
  readonly rawHeaders: readonly string[]
  readonly rawTrailers: readonly string[]
  readonly bytes: number
  readonly sha256: string
}

function descriptionIn(outcome: Outcome): Description {
  expect([outcome.code, outcome.transfer.info.status]).toEqual(['OK', 200])
  return JSON.parse(Buffer.from(outcome.text, 'latin1').toString()) as Description
}

describe('node:http', () => {
  let server: ChildServer & { readonly ready: Ports }
  let url: string
  let oldUrl: string

  expectNothingLeft(() => [server.pid])
  beforeAll(async () => {
    server = await startModule<Ports>(new URL('./node-origin.mjs', import.meta.url))
    url = `http://127.0.0.1:${server.ready.port}`
    oldUrl = `http://127.0.0.1:${server.ready.oldPort}`
  })
  afterAll(() => server.stop())

  describe.each(drivers)('requests through $name', (driver) => {
    it('say what they must, and ask before a long body alone', async () => {
      using multi = new Multi()
      const description = descriptionIn(await runTransfer(driver, multi, { url: `${url}/a%20b?c=d#e` }))
      expect(description).toMatchObject({ method: 'GET', url: '/a%20b?c=d', httpVersion: '1.1', bytes: 0 })
      expect(description.rawHeaders).toEqual(['Host', `127.0.0.1:${server.ready.port}`, 'Accept', '*/*'])
      const namesFor = async (length: number): Promise<string[]> => {
        const body = patternBytes(length, 'upload')
        const upload = await runTransfer(driver, multi, { url: `${url}/describe`, body })
        return descriptionIn(upload).rawHeaders.filter((_, index) => index % 2 === 0)
      }
      expect(await namesFor(500_000)).toEqual(['Host', 'Accept', 'Content-Length'])
      expect(await namesFor(5_000_000)).toEqual(['Host', 'Accept', 'Expect', 'Content-Length'])
    })

    it('keep the case, the order and the repetition of fields', async () => {
      using multi = new Multi()
      const headers = [
        ['x-lOUd', 'A'],
        ['Accept', 'text/plain'],
        ['X-Twice', 'one'],
        ['X-Twice', 'two'],
        ['X-Empty', ''],
        ['X-Latin', 'h\xe9'],
      ] as const
      const outcome = await runTransfer(driver, multi, { url: `${url}/describe`, headers })
      expect(descriptionIn(outcome).rawHeaders.slice(2)).toEqual(headers.flat())
    })

    it('end a chunked body with trailers', async () => {
      using multi = new Multi()
      const bytes = patternBytes(150_000, 'chunked')
      let at = 0
      const outcome = await runTransfer(driver, multi, {
        url: `${url}/describe`,
        method: 'PUT',
        headers: { Trailer: 'X-Sum' },
        body: (bytesMax) => {
          const piece = bytes.subarray(at, at + Math.min(bytesMax, 7000))
          at += piece.length
          return piece.length === 0 ? null : piece
        },
        requestTrailers: () => ({ 'X-Sum': `${at}`, 'X-More': ['a', 'b'] }),
      })
      expect(descriptionIn(outcome)).toMatchObject({
        bytes: bytes.length,
        sha256: sha256(bytes),
        rawTrailers: ['X-Sum', '150000', 'X-More', 'a', 'X-More', 'b'],
      })
    })

    it.each([0, 1, 16_384, 65_535, 65_536, 1_000_000])('carry a body of %i in any form', async (size) => {
      using multi = new Multi()
      const bytes = patternBytes(size, 'forms')
      const once = (): (() => Uint8Array | null) => {
        let at = 0
        return () => {
          const piece = bytes.subarray(at, at + 16_000)
          at += piece.length
          return piece.length === 0 ? null : piece
        }
      }
      const outcomes = await runTransfers(driver, multi, [
        { url: `${url}/describe`, body: bytes },
        { url: `${url}/describe`, body: once(), bodyLength: size },
        { url: `${url}/describe`, body: once() },
      ])
      const wanted = { method: 'POST', bytes: size, sha256: sha256(bytes), rawTrailers: [] }
      for (const outcome of outcomes) expect(descriptionIn(outcome)).toMatchObject(wanted)
    })

    it('take an answer that comes before they are sent', async () => {
      using multi = new Multi()
      const outcome = await runTransfer(driver, multi, { url: `${url}/early`, body: new Uint8Array(20_000_000) })
      expect([outcome.code, outcome.transfer.info.status, outcome.text]).toEqual(['OK', 403, 'no'])
      const next = await runTransfer(driver, multi, { url: `${url}/describe` })
      expect(next.code).toBe('OK')
    })

    it('are refused with 431 when their fields are too long', async () => {
      using multi = new Multi()
      const outcome = await runTransfer(driver, multi, {
        url: `${url}/describe`,
        headers: { 'X-Long': 'x'.repeat(20_000) },
      })
      expect([outcome.code, outcome.transfer.info.status]).toEqual(['OK', 431])
    })
  })

  describe.each(drivers)('responses through $name', (driver) => {
    it('are told after the informational heads before them', async () => {
      using multi = new Multi()
      for (const connects of [1, 0]) {
        const outcome = await runTransfer(driver, multi, { url: `${url}/hints` })
        expect(outcome.informational.map((head) => head.status)).toEqual([103, 102, 103])
        expect(outcome.informational[0]?.headers.first('link')).toBe(
          '</style.css>; rel=preload, </code.js>; rel=preload',
        )
        expect([outcome.code, outcome.head?.status, outcome.text]).toEqual(['OK', 200, 'after hints'])
        expect(outcome.transfer.info.connects).toBe(connects)
      }
    })

    it('end with their trailers', async () => {
      using multi = new Multi()
      for (const connects of [1, 0]) {
        const outcome = await runTransfer(driver, multi, { url: `${url}/trailers` })
        expect([outcome.code, outcome.text]).toEqual(['OK', 'first, second'])
        expect([...(outcome.trailers ?? [])]).toEqual([
          ['X-Sum', '42'],
          ['X-Twice', 'a'],
          ['X-Twice', 'b'],
        ])
        expect(outcome.transfer.info.connects).toBe(connects)
      }
    })

    it('keep the case and the repetition of fields, and the reason', async () => {
      using multi = new Multi()
      const { head } = await runTransfer(driver, multi, { url: `${url}/casing` })
      expect(head?.reason).toBe('Quite All Right')
      expect([...(head?.headers ?? [])].slice(0, 4)).toEqual([
        ['X-oDD-CaSe', 'Value'],
        ['SET-COOKIE', 'a=1'],
        ['set-cookie', 'b=2'],
        ['X-Empty', ''],
      ])
      expect(head?.headers.first('x-odd-case')).toBe('Value')
    })

    it('may have a thousand fields', async () => {
      using multi = new Multi()
      const { head, text } = await runTransfer(driver, multi, { url: `${url}/many` })
      expect(head?.headers.first('x-field-999')).toBe('value 999')
      expect(head?.headers.size).toBeGreaterThan(1000)
      expect(text).toBe('many')
    })

    it.each([
      ['close', 'closing'],
      ['until-closed', 'until closed'],
    ])('that are to be the last ones of their connection (%s) leave none', async (place, text) => {
      using multi = new Multi()
      const outcome = await runTransfer(driver, multi, { url: `${url}/${place}` })
      expect([outcome.code, outcome.text]).toEqual(['OK', text])
      expect(multi.stats.connections).toBe(0)
    })

    it('in pieces arrive whole, 50 at once', async () => {
      using multi = new Multi({ maxHostConnections: 10 })
      const wanted = Array.from({ length: 50 }, () => ({ url: `${url}/pieces` }))
      const outcomes = await runTransfers(driver, multi, wanted)
      const whole = Array.from({ length: 200 }, (_, index) => `${index},`).join('')
      expect(outcomes.map((outcome) => outcome.text)).toEqual(wanted.map(() => whole))
    })

    it('that never come are given up, whatever limit is reached first', async () => {
      using multi = new Multi()
      const outcomes = await runTransfers(driver, multi, [
        { url: `${url}/never`, timeoutMs: 100 },
        { url: `${url}/never`, idleTimeoutMs: 100 },
        { url: `${url}/describe`, timeoutMs: 10_000 },
      ])
      const codes = outcomes.map((outcome) => outcome.code)
      expect(codes).toEqual(['OPERATION_TIMEDOUT', 'OPERATION_TIMEDOUT', 'OK'])
    })

    it('belong to a callback that may throw, or remove its transfer', async () => {
      using multi = new Multi()
      const thrown = await runTransfer(driver, multi, {
        url: `${url}/trailers`,
        onData: () => {
          throw new RangeError('too much')
        },
      })
      expect(thrown.message?.error).toBeInstanceOf(TransferError)
      expect(thrown.message?.error).toMatchObject({ code: 'ABORTED_BY_CALLBACK', cause: new RangeError('too much') })
      const removed = new Recording({ url: `${url}/trailers`, onData: () => multi.remove(removed.transfer) })
      multi.add(removed.transfer)
      await driver.drive(multi)
      expect([removed.bytes, multi.infoRead(), multi.stats.connections]).toEqual([7, undefined, 0])
    })
  })

  describe.each(drivers)('a server in the style of HTTP/1.0 through $name', (driver) => {
    it.each([
      ['plain', 'as it was', 0],
      ['length', 'length', 0],
      ['keep', 'kept', 1],
    ])('is understood: %s', async (place, text, idle) => {
      using multi = new Multi()
      for (let round = 0; round < 3; round++) {
        const outcome = await runTransfer(driver, multi, { url: `${oldUrl}/${place}` })
        expect([outcome.code, outcome.text]).toEqual(['OK', text])
        expect(outcome.transfer.info).toMatchObject({
          httpVersion: '1.0',
          status: 200,
          connects: round === 0 || idle === 0 ? 1 : 0,
        })
        expect(multi.stats.idleConnections).toBe(idle)
      }
    })
  })
})
