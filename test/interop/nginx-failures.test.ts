import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi } from '../../lib/index.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Nginx, startNginx } from '../support/nginx.ts'
import { Recording, runTransfer, runTransfers } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { writeTestFile } from '../support/test-files.ts'

const MB = 1024 * 1024
const DEAD = ['COULDNT_CONNECT', 'GOT_NOTHING', 'PARTIAL_FILE', 'RECV_ERROR', 'SEND_ERROR']

describeWithPeer('nginx', (path) => {
  const pids: number[] = []
  expectNothingLeft(() => pids)

  describe.each(drivers)('a server that dies, through $name', (driver) => {
    let nginx: Nginx

    beforeAll(async () => {
      nginx = await startNginx(path)
      writeTestFile(nginx.root, 'large', 4 * MB)
    })
    afterAll(async () => {
      await nginx.stop()
      pids.push(...nginx.pids)
    })

    it.each(['with a length', 'in chunks'])('fails an upload %s half-way', async (form) => {
      using multi = new Multi()
      const piece = Buffer.alloc(16_000, 'x')
      let given = 0
      const recording = new Recording({
        url: `${nginx.plain}/dav/endless`,
        method: 'PUT',
        body: () => {
          given += piece.length
          // Again and again: the master starts a new worker, which may be the one that has the upload.
          if (given % (100 * piece.length) === 0) nginx.killWorkers()
          return piece
        },
        ...(form === 'with a length' ? { bodyLength: 2 ** 40 } : {}),
      })
      multi.add(recording.transfer)
      await driver.drive(multi)
      recording.message = multi.infoRead() ?? null
      expect(['SEND_ERROR', 'RECV_ERROR', 'GOT_NOTHING']).toContain(recording.outcome().code)
      expect(multi.stats.connections).toBe(0)
    })

    it('fails a paused transfer once it is resumed, after what came before', async () => {
      using multi = new Multi()
      const recording: Recording = new Recording({
        url: `${nginx.plain}/slow/large`,
        onData: () => recording.transfer.pause('receive'),
      })
      multi.add(recording.transfer)
      let steps = 0
      await driver.drive(multi, {
        onStep: () => {
          if (recording.bytes === 0) return
          if (steps === 0) nginx.killWorkers()
          if (++steps > 20) recording.transfer.resume('receive')
        },
      })
      recording.message = multi.infoRead() ?? null
      const { code, bytes } = recording.outcome()
      expect(['PARTIAL_FILE', 'RECV_ERROR']).toContain(code)
      expect(bytes).toBeGreaterThan(0)
      expect(multi.stats.connections).toBe(0)
    })

    it('fails every transfer, those that wait for a connection as well', async () => {
      const own = await startNginx(path)
      writeTestFile(own.root, 'large', 4 * MB)
      using multi = new Multi({ maxHostConnections: 3 })
      const idle = await runTransfer(driver, multi, { url: `${own.plain}/empty` })
      expect(idle.code).toBe('OK')
      let killed = false
      const wanted = Array.from({ length: 30 }, () => ({
        url: `${own.plain}/slow/large`,
        onData: () => {
          if (!killed) own.kill()
          killed = true
        },
      }))
      const outcomes = await runTransfers(driver, multi, wanted)
      await own.stop()
      pids.push(...own.pids)
      expect(outcomes.filter((outcome) => !DEAD.includes(outcome.code))).toEqual([])
      expect(outcomes.filter((outcome) => outcome.code === 'COULDNT_CONNECT').length).toBeGreaterThan(20)
      expect(multi.stats).toMatchObject({ running: 0, pending: 0, connections: 0 })
    })
  })
})
