import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, TransferCode } from '../../lib/index.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { runTransfer } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { type ScriptedOrigin, startScriptedOrigin } from '../support/scripted-origin.ts'
import { chunkings, endings, fields, lengths, statusLines } from './malformed-responses.ts'

const LIMIT_MS = 5000
const responses = [...endings, ...statusLines, ...lengths, ...chunkings, ...fields]

describe('malformed responses', () => {
  let origin: ScriptedOrigin

  expectNothingLeft(() => [origin.pid])
  beforeAll(async () => {
    origin = await startScriptedOrigin(Object.fromEntries(responses.map(({ steps }, index) => [`${index}`, steps])))
  })
  afterAll(() => origin.stop())

  const urlOf = (name: string): string => `${origin.url}/${responses.findIndex((response) => response.name === name)}`

  it('have names of their own, and a reason where the verdict is not one of curl', () => {
    expect(new Set(responses.map(({ name }) => name)).size).toBe(responses.length)
    const unlike = responses.filter(({ ours, curl }) => !curl.includes(TransferCode[ours]))
    expect(responses.filter(({ why }) => why !== undefined)).toEqual(unlike)
  })

  describe.each(drivers)('through $name', (driver) => {
    it.each(responses)('get their verdict: $name, $ours', async ({ name, ours }) => {
      using multi = new Multi()
      const outcome = await runTransfer(driver, multi, { url: urlOf(name), timeoutMs: LIMIT_MS })
      expect(outcome.message?.error?.message ?? '').not.toMatch(/timed out/)
      expect(outcome.code).toBe(ours)
      if (ours !== 'OK') expect(multi.stats.connections).toBe(0)
    })

    it('leave nothing to the transfers that come after them', async () => {
      using multi = new Multi()
      for (const { name, ours } of responses) {
        const outcome = await runTransfer(driver, multi, { url: urlOf(name), timeoutMs: LIMIT_MS })
        expect([name, outcome.code]).toEqual([name, ours])
      }
    })
  })

  describeWithPeer('curl', (path) => {
    it.each(responses)('get the verdict of curl that the table says: $name', ({ name, curl }) => {
      const limit = `${LIMIT_MS / 1000}`
      const args = ['-q', '-s', '--http1.1', '--max-time', limit, '--noproxy', '*', '-o', '/dev/null', urlOf(name)]
      const { status } = spawnSync(path, args, { stdio: 'ignore' })
      expect(curl).toContain(status)
    })
  })
})
