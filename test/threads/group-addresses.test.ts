import { existsSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { ShareMode } from '../../lib/index.ts'
import { makeCertificate } from '../support/certificates.ts'
import { makeDirectory } from '../support/child-server.ts'
import { groupStage, portOf } from './group-stage.ts'
import { Load } from './load.ts'

const stage = groupStage()
const directory = makeDirectory('group-addresses')

afterAll(() => rmSync(directory, { recursive: true, force: true }))

const SHARES: readonly ShareMode[] = ['reuseport', 'handoff', 'exclusive']

describe('a group listens', () => {
  for (const share of SHARES) {
    it(`on a unix socket and on TCP at once, by '${share}'`, async () => {
      const path = join(directory, `${share}.sock`)
      const listen = [
        { path, mode: 0o600 },
        { host: '127.0.0.1', port: 0 },
      ]
      const group = await stage.start({ workers: 2, share, listen })
      const loads = [new Load({ path }, 4), new Load({ port: group.addresses[1]?.port ?? 0 }, 4)]
      for (const load of loads) await load.answers(50)
      await group.recycle()
      for (const load of loads) expect((await load.stop()).failed).toBe(0)
      expect(existsSync(path)).toBe(true)
      await group.stop()
      expect(existsSync(path)).toBe(false)
    })
  }

  it('over TLS, which begins in the thread that was picked by the first bytes', async () => {
    const names: string[] = []
    const { certificate, key } = makeCertificate({ commonName: 'one.test', names: ['one.test', 'two.test'] })
    const group = await stage.start({
      workers: 2,
      share: 'handoff',
      tls: { certificate, certificateKey: key },
      // A ClientHello names its server in clear.
      pick: (_peer, bytes) => {
        const text = Buffer.from(bytes).toString('latin1')
        names.push(['one.test', 'two.test'].find((name) => text.includes(name)) ?? '')
        return text.includes('two.test') ? 1 : 0
      },
    })
    const [first, second] = group.workers.map(({ threadId }) => `one ${threadId}`)
    expect(await fetchBy('one.test', portOf(group))).toBe(first)
    expect(await fetchBy('two.test', portOf(group))).toBe(second)
    expect(names).toEqual(['one.test', 'two.test'])
  })
})

function fetchBy(servername: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, servername, rejectUnauthorized: false, agent: false })
    asked.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve(text))
    })
    asked.on('error', reject).end()
  })
}
