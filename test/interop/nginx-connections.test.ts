import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, type Transfer } from '../../lib/index.ts'
import { freePorts, pause } from '../support/child-server.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Nginx, startNginx } from '../support/nginx.ts'
import { type Outcome, Recording, runTransfer, runTransfers } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { type TestFile, writeTestFile } from '../support/test-files.ts'

const MB = 1024 * 1024

function connectsOf(outcomes: readonly Outcome[]): number[] {
  return outcomes.map((outcome) => outcome.transfer.info.connects)
}

describeWithPeer('nginx', (path) => {
  let nginx: Nginx
  let small: TestFile
  let large: TestFile

  expectNothingLeft(() => [...nginx.pids])
  beforeAll(async () => {
    nginx = await startNginx(path)
    small = writeTestFile(nginx.root, 'small', 100)
    large = writeTestFile(nginx.root, 'large', 32 * MB)
  })
  afterAll(() => nginx.stop())

  describe.each(drivers)('connections through $name', (driver) => {
    it('opens another connection after as many requests as the server allows', async () => {
      using multi = new Multi()
      const outcomes: Outcome[] = []
      for (let request = 0; request < 12; request++) {
        outcomes.push(await runTransfer(driver, multi, { url: `${nginx.five}/small` }))
      }
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(outcomes.map(() => small.sha256))
      expect(connectsOf(outcomes)).toEqual([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0])
      expect(new Set(outcomes.map((outcome) => outcome.transfer.info.connectionId)).size).toBe(3)
      expect(outcomes.map((outcome) => outcome.transfer.info.retries)).toEqual(outcomes.map(() => 0))
    })

    it('keeps to the limit of requests with 100 transfers at once', async () => {
      using multi = new Multi({ maxHostConnections: 4 })
      const outcomes = await runTransfers(
        driver,
        multi,
        Array.from({ length: 100 }, () => ({ url: `${nginx.five}/small` })),
      )
      expect(outcomes.filter((outcome) => outcome.sha256 !== small.sha256)).toEqual([])
      expect(connectsOf(outcomes).reduce((sum, connects) => sum + connects, 0)).toBeGreaterThanOrEqual(20)
    })

    it('closes an idle connection when the server does, and opens a new one', async () => {
      using multi = new Multi()
      const first = await runTransfer(driver, multi, { url: `${nginx.impatient}/small` })
      expect(multi.stats.idleConnections).toBe(1)
      // Something else has to run: an idle connection keeps no loop going.
      const keeper = new Recording({ url: `${nginx.plain}/slow/large` })
      multi.add(keeper.transfer)
      await driver.drive(multi, { until: () => multi.stats.idleConnections === 0 })
      multi.remove(keeper.transfer)
      const second = await runTransfer(driver, multi, { url: `${nginx.impatient}/small` })
      expect(connectsOf([first, second])).toEqual([1, 1])
      expect(second.sha256).toBe(small.sha256)
      expect(second.transfer.info.retries).toBe(0)
    })

    it('sees at the next use that the server closed while nobody looked', async () => {
      using multi = new Multi()
      await runTransfer(driver, multi, { url: `${nginx.impatient}/small` })
      await pause(400)
      const second = await runTransfer(driver, multi, { url: `${nginx.impatient}/small` })
      expect(second.code).toBe('OK')
      expect(second.transfer.info.connects).toBe(1)
      expect(second.sha256).toBe(small.sha256)
    })

    it('sees it as well where idle connections are not watched', async () => {
      using multi = new Multi({ watchIdleConnections: false })
      await runTransfer(driver, multi, { url: `${nginx.impatient}/small` })
      await pause(400)
      const second = await runTransfer(driver, multi, { url: `${nginx.impatient}/small` })
      expect(second.code).toBe('OK')
      expect(second.transfer.info.connects).toBe(1)
    })

    it('opens a connection for each transfer that wants a fresh one, and keeps none that is forbidden', async () => {
      using multi = new Multi()
      const url = `${nginx.plain}/small`
      const outcomes = [
        await runTransfer(driver, multi, { url }),
        await runTransfer(driver, multi, { url, freshConnect: true }),
        await runTransfer(driver, multi, { url, forbidReuse: true }),
        await runTransfer(driver, multi, { url }),
        await runTransfer(driver, multi, { url, headers: { Connection: 'close' } }),
      ]
      expect(connectsOf(outcomes)).toEqual([1, 1, 0, 0, 0])
      expect(multi.stats.connections).toBe(0)
    })

    it('says which system call was refused when nobody listens', async () => {
      using multi = new Multi()
      const [port] = await freePorts(1)
      const outcome = await runTransfer(driver, multi, { url: `http://127.0.0.1:${port}/` })
      expect(outcome.code).toBe('COULDNT_CONNECT')
      expect(outcome.message?.error?.cause).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', port })
    })

    it('says that there is no such unix socket', async () => {
      using multi = new Multi()
      const unixSocketPath = `${nginx.directory}/none.sock`
      const outcome = await runTransfer(driver, multi, { url: 'http://localhost/', unixSocketPath })
      expect(outcome.code).toBe('COULDNT_CONNECT')
      expect(outcome.message?.error?.cause).toMatchObject({ code: 'ENOENT' })
    })
  })

  describe.each(drivers)('slow answers through $name', (driver) => {
    it('pauses and resumes a rate-limited download and loses nothing', async () => {
      using multi = new Multi()
      const file = writeTestFile(nginx.root, 'slow-file', MB)
      let pausedAt = -1
      let pauses = 0
      let steps = 0
      let told = 0
      const recording = new Recording({
        url: `${nginx.plain}/slow/slow-file`,
        onData: (chunk) => {
          expect(pausedAt).toBe(-1)
          told += chunk.length
          if (pauses < 8 && told > pauses * 100_000) {
            pauses++
            pausedAt = told
            recording.transfer.pause('receive')
          }
        },
      })
      multi.add(recording.transfer)
      await driver.drive(multi, {
        onStep: () => {
          if (pausedAt < 0 || ++steps % 5 !== 0) return
          expect(told).toBe(pausedAt)
          pausedAt = -1
          recording.transfer.resume('receive')
        },
      })
      recording.message = multi.infoRead() ?? null
      expect(recording.outcome()).toMatchObject({ code: 'OK', bytes: MB, sha256: file.sha256 })
      expect(pauses).toBe(8)
    })

    it('times out while the server is slow, with what came until then', async () => {
      using multi = new Multi()
      const outcome = await runTransfer(driver, multi, { url: `${nginx.plain}/slow/large`, timeoutMs: 300 })
      expect(outcome.code).toBe('OPERATION_TIMEDOUT')
      expect(outcome.bytes).toBeGreaterThan(0)
      expect(outcome.bytes).toBeLessThan(large.bytes)
      expect(multi.stats.connections).toBe(0)
    })

    it('removes a transfer in the middle and leaves no connection of it', async () => {
      using multi = new Multi()
      const recording = new Recording({ url: `${nginx.plain}/slow/large` })
      multi.add(recording.transfer)
      await driver.drive(multi, { until: () => recording.bytes > 100_000 })
      multi.remove(recording.transfer)
      expect(multi.infoRead()).toBeUndefined()
      expect(multi.stats.connections).toBe(0)
    })
  })

  describe.each(drivers)('a server that goes away, through $name', (driver) => {
    it.each(['slow', 'included'])(
      'fails a transfer of what is %s when the worker is killed half-way',
      async (place) => {
        using multi = new Multi()
        let killed = false
        const recording = new Recording({
          url: `${nginx.plain}/${place}/large`,
          onData: () => {
            if (!killed) nginx.killWorkers()
            killed = true
          },
        })
        multi.add(recording.transfer)
        await driver.drive(multi)
        recording.message = multi.infoRead() ?? null
        const { code, bytes } = recording.outcome()
        expect(['PARTIAL_FILE', 'RECV_ERROR']).toContain(code)
        expect(bytes).toBeLessThan(large.bytes)
        expect(multi.stats.connections).toBe(0)
      },
    )

    it('begins again on a new connection when the worker behind idle ones was killed', async () => {
      using multi = new Multi()
      const wanted = Array.from({ length: 8 }, () => ({ url: `${nginx.plain}/small` }))
      await runTransfers(driver, multi, wanted)
      expect(multi.stats.idleConnections).toBeGreaterThan(0)
      nginx.killWorkers()
      await pause(100)
      const outcomes = await runTransfers(driver, multi, wanted)
      expect(outcomes.map((outcome) => outcome.code)).toEqual(wanted.map(() => 'OK'))
      expect(outcomes.map((outcome) => outcome.sha256)).toEqual(wanted.map(() => small.sha256))
    })

    it('fails no transfer while the server reloads again and again', async () => {
      using multi = new Multi({ maxHostConnections: 6 })
      const started = performance.now()
      let reloads = 0
      let done = 0
      const failures: string[] = []
      const finish = (transfer: Transfer): void => {
        multi.remove(transfer)
        if (reloads < 4 || done < 500) {
          transfer.reset()
          multi.add(transfer)
        }
      }
      for (let index = 0; index < 12; index++) {
        multi.add(new Recording({ url: `${nginx.plain}/${index < 2 ? 'large' : 'small'}` }).transfer)
      }
      await driver.drive(multi, {
        onStep: () => {
          if (performance.now() - started > 200 * (reloads + 1) && reloads < 4) {
            reloads++
            nginx.reload()
          }
          for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
            done++
            if (message.error !== null) failures.push(String(message.error))
            finish(message.transfer)
          }
        },
        until: () => multi.running === 0 && reloads === 4,
      })
      expect(failures).toEqual([])
      expect(done).toBeGreaterThanOrEqual(500)
    })
  })
})
