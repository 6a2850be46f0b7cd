import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeDirectory } from '../support/child-server.ts'
import { root } from '../support/source-tree.ts'
import { Client, until } from './support.ts'

const directory = makeDirectory('thread-examples')
const running: ChildProcess[] = []

afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

class Example {
  output = ''
  readonly child: ChildProcess
  readonly #end: Promise<unknown[]>

  constructor(name: string, args: readonly string[]) {
    this.child = spawn(process.execPath, [join(root, 'dist/examples', `${name}.js`), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    running.push(this.child)
    this.child.stdout?.on('data', (text) => {
      this.output += text
    })
    this.#end = once(this.child, 'exit')
  }

  async says(pattern: RegExp): Promise<string> {
    await until(() => pattern.test(this.output))
    return pattern.exec(this.output)?.[1] ?? ''
  }

  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM')
    return this.ended()
  }

  async ended(): Promise<number | null> {
    return (await this.#end)[0] as number | null
  }
}

describe('the examples of threads', () => {
  it('serve by a group, and start it anew at SIGHUP', async () => {
    const example = new Example('server-group', ['0', '2'])
    const url = await example.says(/listening on (http:\S+)\n/)
    const before = await (await fetch(url)).text()
    expect(before).toMatch(/^Hello from thread \d+\n$/)
    example.child.kill('SIGHUP')
    await example.says(/restarted: \d+ connections ended by themselves, (0) were cut/)
    expect(await (await fetch(url)).text()).not.toBe(before)
    expect(await example.stop()).toBe(0)
    expect(example.output).toMatch(/stopped: \d+ connections/)
  })

  it('answer in a thread per connection, and say good-bye', async () => {
    const example = new Example('thread-pool', ['0', '1', '2'])
    const port = Number(await example.says(/listening on 127\.0\.0\.1:(\d+)\n/))
    const clients = [await Client.open(port), await Client.open(port)]
    for (const client of clients) {
      await client.received('A number, please.\n')
      client.send('600851475143\n')
      await client.received('6857\n')
    }
    const ended = example.stop()
    await new Promise((resolve) => setTimeout(resolve, 100))
    for (const client of clients) client.send('7\n')
    for (const client of clients) await client.received('Goodbye.\n')
    expect(await ended).toBe(0)
    expect(example.output).toMatch(/stopped: 2 connections ended by themselves, 0 were cut/)
  })

  it('are replaced by a new process', async () => {
    const path = join(directory, 'example.sock')
    const first = new Example('handover', ['0', path])
    const url = await first.says(/listening on (http:\S+)\n/)
    expect(await (await fetch(url)).text()).toBe(`Hello from process ${first.child.pid}\n`)
    const second = new Example('handover', ['0', path])
    expect(await second.says(/took over (http:\S+)\n/)).toBe(url)
    expect(await first.ended()).toBe(0)
    expect(first.output).toMatch(/handed over: \d+ connections/)
    expect(await (await fetch(url)).text()).toBe(`Hello from process ${second.child.pid}\n`)
    expect(await second.stop()).toBe(0)
    expect(second.output).toMatch(/stopped\n$/)
  })
})
