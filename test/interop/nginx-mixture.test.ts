import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Multi, PAUSE, type TransferOptions } from '../../lib/index.ts'
import { Random } from '../sim/random.ts'
import { drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Nginx, startNginx } from '../support/nginx.ts'
import { Recording, sha256 } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { patternBytes, type TestFile, writeTestFile } from '../support/test-files.ts'

const SIZES = [0, 1, 100, 5000, 65_535, 65_536, 300_000, 2_000_000]
const TRANSFERS = 400
const ACTIVE_MAX = 60

/** One transfer that was begun, and what must be true of it at its end. */
interface Undertaking {
  readonly recording: Recording
  readonly check: () => void
  paused: boolean
  removed: boolean
}

/** Begins transfers of all kinds, pauses, resumes and removes them, inside callbacks and outside, from one seed. */
class Mixture {
  readonly running = new Map<object, Undertaking>()
  begun = 0
  ended = 0
  removed = 0
  readonly #nginx: Nginx
  readonly #files: readonly TestFile[]
  readonly #multi: Multi
  readonly #random: Random

  constructor(nginx: Nginx, files: readonly TestFile[], multi: Multi, seed: number) {
    this.#nginx = nginx
    this.#files = files
    this.#multi = multi
    this.#random = new Random(seed)
  }

  get isOver(): boolean {
    return this.begun === TRANSFERS && this.running.size === 0
  }

  step(): void {
    for (let message = this.#multi.infoRead(); message !== undefined; message = this.#multi.infoRead()) {
      const undertaking = this.running.get(message.transfer) as Undertaking
      undertaking.recording.message = message
      this.#multi.remove(message.transfer)
      this.running.delete(message.transfer)
      this.ended++
      undertaking.check()
    }
    for (const undertaking of this.running.values()) {
      if (undertaking.paused && this.#random.chance(0.5)) {
        undertaking.paused = false
        undertaking.recording.transfer.resume()
      } else if (this.#random.chance(0.01)) this.#remove(undertaking)
    }
    while (this.begun < TRANSFERS && this.running.size < ACTIVE_MAX && this.#random.chance(0.9)) this.begin()
  }

  begin(): void {
    const random = this.#random
    const number = this.begun++
    const isUpload = random.chance(0.3)
    const options = isUpload ? this.#upload(number) : this.#download()
    const recording = new Recording({
      ...options.transfer,
      onHead: () => this.#meddle(undertaking),
      onData: () => {
        expect(undertaking.paused || undertaking.removed).toBe(false)
        this.#meddle(undertaking)
      },
    })
    const check = (): void => {
      const { code, sha256: digest, transfer } = recording.outcome()
      expect([transfer.info.effectiveUrl, code]).toEqual([transfer.info.effectiveUrl, 'OK'])
      expect(options.digest(digest)).toBe(options.expected)
    }
    const undertaking: Undertaking = { recording, check, paused: false, removed: false }
    this.running.set(recording.transfer, undertaking)
    this.#multi.add(recording.transfer)
  }

  #meddle(undertaking: Undertaking): void {
    const random = this.#random
    if (random.chance(0.1)) {
      undertaking.paused = true
      undertaking.recording.transfer.pause(random.chance(0.5) ? 'receive' : 'both')
    } else if (random.chance(0.01)) this.#remove(undertaking)
    else if (random.chance(0.05) && this.begun < TRANSFERS) this.begin()
  }

  #remove(undertaking: Undertaking): void {
    undertaking.removed = true
    this.removed++
    this.running.delete(undertaking.recording.transfer)
    this.#multi.remove(undertaking.recording.transfer)
  }

  #download(): { transfer: TransferOptions; expected: string; digest: (received: string) => string } {
    const random = this.#random
    const { plain, five, unixSocketPath } = this.#nginx
    const file = this.#files[random.int(this.#files.length)] as TestFile
    const place = ['', '', 'included/', 'proxied/'][random.int(4)]
    const origin = place === '' && random.chance(0.3) ? five : plain
    const transfer: TransferOptions = { url: `${origin}/${place}${file.name}` }
    if (origin === plain && random.chance(0.2)) transfer.unixSocketPath = unixSocketPath
    if (random.chance(0.1)) transfer.forbidReuse = true
    if (random.chance(0.1)) transfer.freshConnect = true
    return { transfer, expected: file.sha256, digest: (received) => received }
  }

  #upload(number: number): { transfer: TransferOptions; expected: string; digest: (received: string) => string } {
    const random = this.#random
    const name = `mixture-${number}`
    const bytes = patternBytes(SIZES[random.int(SIZES.length)] as number, name)
    const transfer: TransferOptions = { url: `${this.#nginx.plain}/dav/${name}`, method: 'PUT', body: bytes }
    if (random.chance(0.6)) {
      let at = 0
      transfer.body = (bytesMax) => {
        const undertaking = [...this.running.values()].find(
          (one) => one.recording.transfer.info.effectiveUrl === transfer.url,
        )
        if (undertaking !== undefined && random.chance(0.1)) {
          undertaking.paused = true
          return PAUSE
        }
        const piece = bytes.subarray(at, at + Math.min(bytesMax, 1 + random.int(bytesMax)))
        at += piece.length
        return piece.length === 0 ? null : piece
      }
      if (random.chance(0.5)) transfer.bodyLength = bytes.length
    }
    const path = `${this.#nginx.uploads}/${name}`
    return { transfer, expected: sha256(bytes), digest: () => sha256(readFileSync(path)) }
  }
}

describeWithPeer('nginx', (path) => {
  let nginx: Nginx
  let files: TestFile[]

  expectNothingLeft(() => [...nginx.pids])
  beforeAll(async () => {
    nginx = await startNginx(path)
    files = SIZES.map((bytes) => writeTestFile(nginx.root, `file-${bytes}`, bytes))
  })
  afterAll(() => nginx.stop())

  describe.each(drivers)('a mixture of everything through $name', (driver) => {
    it.each([1, 2])('ends each transfer once, with every byte (seed %i)', async (seed) => {
      using multi = new Multi({ maxHostConnections: 8, maxTotalConnections: 12, maxIdleConnections: 6 })
      const mixture = new Mixture(nginx, files, multi, seed)
      mixture.begin()
      await driver.drive(multi, { onStep: () => mixture.step(), until: () => mixture.isOver })
      expect(mixture.ended + mixture.removed).toBe(TRANSFERS)
      expect(mixture.ended).toBeGreaterThan(TRANSFERS / 2)
      expect(multi.stats).toMatchObject({ running: 0, pending: 0, done: 0 })
      expect(multi.stats.connections).toBe(multi.stats.idleConnections)
    })
  })
})
