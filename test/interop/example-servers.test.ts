/** The examples that are servers, run as their readers would run them: from dist, in a process of their own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { bodyBytes } from '../../examples/body.ts'
import { describeWithLibrary } from '../support/peers.ts'
import { root } from '../support/source-tree.ts'

const BUILD_MS_MAX = 180_000
const WAIT = { timeout: 15_000, interval: 10 }
const BODY_BYTES = 200_000
const CLIENTS = 20

const children = new Set<ChildProcess>()

beforeAll(() => {
  const options = { cwd: root, encoding: 'utf8', timeout: BUILD_MS_MAX } as const
  const built = spawnSync(process.execPath, [join('scripts', 'build.mjs'), '--quiet'], options)
  if (built.status !== 0) throw new Error(`the build failed: ${built.error?.message ?? ''}\n${built.stderr}`)
}, BUILD_MS_MAX)

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
})

class Example {
  readonly child: ChildProcess
  output = ''
  status: number | null | undefined

  constructor(name: string, parameters: readonly string[]) {
    this.child = spawn(process.execPath, [join('dist', 'examples', `${name}.js`), ...parameters], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.add(this.child)
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    }
    this.child.once('close', (status) => {
      children.delete(this.child)
      this.status = status
    })
  }

  async listening(): Promise<string> {
    await expect.poll(() => this.output, WAIT).toMatch(/listening on /)
    return /http:\/\/127\.0\.0\.1:\d+/.exec(this.output)?.[0] as string
  }

  async ended(): Promise<number | null> {
    await expect.poll(() => this.status, WAIT).not.toBe(undefined)
    return this.status ?? null
  }
}

/** Clients of the daemon, whose answers come through it from the origin behind it. */
async function expectDaemon(loop: string, name: RegExp): Promise<void> {
  const daemon = new Example('daemon', ['--loop', loop])
  const url = await daemon.listening()
  expect(daemon.output).toMatch(name)
  const answers = Array.from({ length: CLIENTS }, async (_, seed) => {
    const kind = seed % 2 === 0 ? 'length' : 'chunked'
    const answer = await fetch(`${url}/${kind}/${BODY_BYTES}/${seed}`)
    expect(answer.headers.get('content-length')).toBe(kind === 'length' ? String(BODY_BYTES) : null)
    return Buffer.from(await answer.arrayBuffer()).equals(bodyBytes(seed, BODY_BYTES))
  })
  expect(await Promise.all(answers)).toEqual(new Array(CLIENTS).fill(true))
  expect((await fetch(`${url}/nothing`)).status).toBe(404)
  // One leaves in the middle of its answer; nobody else notices.
  const abort = new AbortController()
  const left = await fetch(`${url}/length/4000000/1`, { signal: abort.signal })
  await left.body?.getReader().read()
  abort.abort()
  expect((await fetch(`${url}/length/10/1`)).status).toBe(200)
  expect(await (await fetch(`${url}/stop`)).text()).toBe('stopping\n')
  expect(await daemon.ended()).toBe(0)
  expect(daemon.output).toMatch(/stopped after \d+ connections\n$/)
}

describe('the daemon', () => {
  it.each([
    ['select', / in loop around poll\(2\)/],
    ['poll', / in hand-written loop/],
    ['node', / in Node \d/],
  ])('serves and fetches on one Multi in the loop %s', (loop, name) => expectDaemon(loop, name))

  it('explains itself, and refuses a loop that it does not know', async () => {
    const help = new Example('daemon', ['--help'])
    expect(await help.ended()).toBe(0)
    expect(help.output).toContain('usage: node dist/examples/daemon.js')
    const wrong = new Example('daemon', ['--loop', 'sleep'])
    expect(await wrong.ended()).toBe(1)
    expect(wrong.output).toBe("daemon.js: --loop must be one of libevent, glib, poll, select, node, not 'sleep'\n")
  })
})

describeWithLibrary('libevent-2.1.so.7', () => {
  it('is the loop of the daemon', () => expectDaemon('libevent', / in libevent 2\.1/))
})

describeWithLibrary('libglib-2.0.so.0', () => {
  it('is the loop of the daemon', () => expectDaemon('glib', / in GLib 2/))
})

describe('the loop around poll(2)', () => {
  it('fetches 200 URLs', async () => {
    const example = new Example('select-loop', [])
    expect(await example.ended()).toBe(0)
    expect(example.output).toMatch(/^transfers +200 of 200 ok$/m)
    expect(example.output).toMatch(/^bytes +1,930,300$/m)
  })
})

describe('the hello server', () => {
  it('says hello, shouts, and lets its clients end at SIGTERM', async () => {
    const server = new Example('hello-server', ['0'])
    const url = await server.listening()
    expect(await (await fetch(url)).text()).toBe('Hello, world!\n')
    const shouted = await fetch(`${url}/shout`, { method: 'POST', body: 'grüße' })
    expect(await shouted.text()).toBe('GRÜSSE')
    expect((await fetch(`${url}/missing`)).status).toBe(404)
    server.child.kill('SIGTERM')
    expect(await server.ended()).toBe(0)
    expect(server.output).toMatch(/stopped: \d+ connections ended by themselves, 0 were cut\n$/)
  })
})

describe('the server in a thread', () => {
  it('loads its code anew at SIGHUP, survives the end of its thread, and lets clients end', async () => {
    const server = new Example('managed-server', ['0'])
    const url = await server.listening()
    const threadOf = async (path: string): Promise<number> => {
      const text = await (await fetch(`${url}${path}`, { headers: { connection: 'close' } })).text()
      return Number(/^Hello from thread (\d+)\n$/.exec(text)?.[1])
    }
    const threads = [await threadOf('/')]
    server.child.kill('SIGHUP')
    await expect.poll(() => server.output, WAIT).toMatch(/has taken over/)
    threads.push(await threadOf('/'), await threadOf('/crash'))
    await expect.poll(() => server.output, WAIT).toMatch(/with code 1\nthread \d+ goes on/)
    threads.push(await threadOf('/'))
    expect(new Set(threads).size).toBe(3)
    server.child.kill('SIGTERM')
    expect(await server.ended()).toBe(0)
    expect(server.output).toMatch(/stopped: \d+ connections ended by themselves, 0 were cut\n$/)
  })
})

describe('the chat', () => {
  it('tells everybody what one says, and says good-bye', async () => {
    const server = new Example('chat-server', ['0'])
    const url = await server.listening()
    expect(await (await fetch(url)).text()).toContain('<title>Chat</title>')
    const heard: string[][] = []
    const sockets: WebSocket[] = []
    for (let i = 0; i < 3; i++) {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/chat`)
      const lines: string[] = []
      socket.on('message', (data) => lines.push(String(data)))
      await once(socket, 'open')
      heard.push(lines)
      sockets.push(socket)
    }
    sockets[1]?.send('grüße')
    for (const lines of heard) await expect.poll(() => lines.at(-1), WAIT).toBe('guest 2: grüße')
    sockets[2]?.close()
    await expect
      .poll(() => heard[0], WAIT)
      .toEqual(['guest 1 is here', 'guest 2 is here', 'guest 3 is here', 'guest 2: grüße', 'guest 3 has left'])
    const closed = once(sockets[0] as WebSocket, 'close')
    server.child.kill('SIGINT')
    expect((await closed)[0]).toBe(1001)
    expect(await server.ended()).toBe(0)
  })
})
