import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, describe, expect, it } from 'vitest'
import { accepts, freePorts, makeDirectory, pause } from '../support/child-server.ts'
import { Load } from './load.ts'
import { moduleFile } from './support.ts'

const WAIT_MS = 15_000
const directory = makeDirectory('handover')
const children: Generation[] = []

afterAll(async () => {
  for (const child of children) await child.kill()
  rmSync(directory, { recursive: true, force: true })
})

class Generation {
  readonly told: Record<string, unknown>[] = []
  readonly #child: ChildProcess
  readonly #exit: Promise<void>

  constructor(path: string, where: string | number, name: string, loop = 'node', fault = 'nothing') {
    const args = [path, String(where), name, loop, fault]
    this.#child = spawn(process.execPath, [moduleFile('handover-process.mjs'), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#exit = new Promise((resolve) => this.#child.once('exit', () => resolve()))
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      this.told.push(JSON.parse(line))
    })
    children.push(this)
  }

  async hears(key: string): Promise<unknown> {
    const end = performance.now() + WAIT_MS
    for (;;) {
      const found = this.told.find((what) => key in what)
      if (found !== undefined) return found[key]
      if (performance.now() > end) throw new Error(`never told ${key}, only ${JSON.stringify(this.told)}`)
      await pause(5)
    }
  }

  stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    return this.#exit
  }

  kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    return this.#exit
  }

  get exit(): Promise<void> {
    return this.#exit
  }
}

async function start(...args: ConstructorParameters<typeof Generation>): Promise<Generation> {
  const generation = new Generation(...args)
  await generation.hears('ready')
  return generation
}

let count = 0
function newPath(): string {
  return join(directory, `handover-${++count}.sock`)
}

async function freePort(): Promise<number> {
  return (await freePorts(1))[0] as number
}

describe('a handover', () => {
  for (const loop of ['node', 'poll', 'hand']) {
    it(`fails no request while processes replace one another in the loop '${loop}'`, async () => {
      const path = newPath()
      const port = await freePort()
      let present = await start(path, port, 'one', loop)
      expect(statSync(path).mode & 0o777).toBe(0o600)
      const load = new Load({ port }, 8)
      await load.answers(100)
      for (const name of ['two', 'three']) {
        const next = await start(path, 0, name, loop)
        expect(await next.hears('listens')).toEqual(['http'])
        expect(await present.hears('done')).toMatchObject({ cut: 0, complete: true })
        await present.exit
        await load.until(() => (load.report.bodies.get(name) ?? 0) > 100)
        present = next
      }
      const { failed, errors, bodies } = await load.stop()
      expect({ failed, errors: [...errors] }).toEqual({ failed: 0, errors: [] })
      expect([...bodies.keys()].sort()).toEqual(['one', 'three', 'two'])
      await present.stop()
      expect(existsSync(path)).toBe(false)
    }, 40_000)
  }

  it('moves unix sockets with their files', async () => {
    const path = newPath()
    const where = join(directory, 'served.sock')
    const first = await start(path, where, 'one')
    const load = new Load({ path: where }, 4)
    await load.answers(50)
    const second = await start(path, 0, 'two')
    await first.exit
    await load.until(() => (load.report.bodies.get('two') ?? 0) > 50)
    expect((await load.stop()).failed).toBe(0)
    expect(existsSync(where)).toBe(true)
    await second.stop()
    expect(existsSync(where)).toBe(false)
  }, 40_000)

  it('changes nothing when the new process dies with the descriptors, or never says that it serves', async () => {
    const path = newPath()
    const port = await freePort()
    const first = await start(path, port, 'one')
    const load = new Load({ port }, 4)
    await new Generation(path, 0, 'dead', 'node', 'dies').exit
    const silent = new Generation(path, 0, 'silent', 'node', 'silent')
    await silent.hears('listens')
    await load.answers(50)
    await silent.kill()
    await load.answers(50)
    expect(first.told.some((what) => 'done' in what)).toBe(false)
    // And who comes afterwards is served as if nothing had been.
    const second = await start(path, 0, 'two')
    expect(await first.hears('done')).toMatchObject({ complete: true })
    await load.until(() => (load.report.bodies.get('two') ?? 0) > 10)
    await load.stop()
    await second.stop()
  }, 40_000)

  it('says no to what is not its protocol, and ends those who say nothing', async () => {
    const path = newPath()
    const first = await start(path, await freePort(), 'one')
    const answers = await Promise.all(
      [
        Buffer.from('GET / HTTP/1.1\r\n\r\n'),
        Buffer.from('SMXH\x02\x01\x00\x00', 'latin1'),
        Buffer.from('SMXH\x01\x03\x00\x00', 'latin1'),
        Buffer.from('SMXH\x01\x01\xff\xff', 'latin1'),
        Buffer.from('SMXH\x01', 'latin1'),
      ].map((bytes) => talk(path, bytes)),
    )
    expect(answers.map((answer) => answer.slice(8))).toEqual([
      'this is no handover',
      'version 2 of the handover is not 1',
      'message 3 was not expected',
      'a message of the handover is too long',
      '',
    ])
    expect(await accepts({ path })).toBe(true)
    await first.stop()
  }, 40_000)
})

/** All that comes until the end. */
function talk(path: string, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect({ path, allowHalfOpen: true })
    socket.setEncoding('latin1')
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
    socket.on('end', () => socket.destroy())
    socket.write(bytes)
  })
}
