import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi } from '../../lib/index.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { runTransfer } from '../support/outcomes.ts'
import { type ScriptedOrigin, startScriptedOrigin } from '../support/scripted-origin.ts'

const LARGE = 300_000

// One connection's bytes and its end are nobody else's, though the parts that read them are used again.
const SCRIPTS = {
  twice: [{ send: 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo' }],
  closed: [{ end: true }],
  untilClosed: [{ send: 'HTTP/1.1 200 OK\r\n\r\nuntil the end' }, { end: true }],
  large: [{ send: `HTTP/1.1 200 OK\r\nContent-Length: ${LARGE}\r\n\r\n` }, { repeat: 'x', times: LARGE }],
  slow: [
    { send: 'HTTP/1.1 200 OK\r\nContent-' },
    { waitMs: 30 },
    { send: 'Length: 5\r\n\r\nhe' },
    { waitMs: 30 },
    { send: 'llo' },
  ],
} as const

describe.each(drivers)('what a connection leaves behind, through $name', (driver) => {
  let origin: ScriptedOrigin

  expectNothingLeft(() => [origin.pid])
  beforeAll(async () => {
    origin = await startScriptedOrigin(SCRIPTS)
  })
  afterAll(() => origin.stop())

  it('never answers a transfer with what another connection had too much', async () => {
    using multi = new Multi()
    const first = await runTransfer(driver, multi, { url: `${origin.url}/twice` })
    expect([first.code, first.text]).toEqual(['OK', 'one'])
    const second = await runTransfer(driver, multi, { url: `${origin.url}/closed` })
    expect([second.code, second.text]).toEqual(['GOT_NOTHING', ''])
  })

  it('never answers a transfer with what a callback that threw left unread', async () => {
    using multi = new Multi()
    const first = await runTransfer(driver, multi, {
      url: `${origin.url}/twice`,
      onHead: () => {
        throw new Error('enough')
      },
    })
    expect(first.code).toBe('ABORTED_BY_CALLBACK')
    const second = await runTransfer(driver, multi, { url: `${origin.url}/closed` })
    expect([second.code, second.text]).toEqual(['GOT_NOTHING', ''])
  })

  it.each(['closed', 'untilClosed'])('takes no end of stream (%s) for the end of the next one', async (place) => {
    using multi = new Multi()
    await runTransfer(driver, multi, { url: `${origin.url}/${place}` })
    const large = await runTransfer(driver, multi, { url: `${origin.url}/large` })
    expect([large.code, large.bytes]).toEqual(['OK', LARGE])
    await runTransfer(driver, multi, { url: `${origin.url}/${place}` })
    const slow = await runTransfer(driver, multi, { url: `${origin.url}/slow` })
    expect([slow.code, slow.text]).toEqual(['OK', 'hello'])
  })
})
