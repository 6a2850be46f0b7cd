import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeDirectory } from '../support/child-server.ts'
import { root } from '../support/source-tree.ts'
import { Load } from './load.ts'
import { until } from './support.ts'

const directory = makeDirectory('serve-threads')
const running: ChildProcess[] = []

afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

describe('sockmux serve --threads', () => {
  it('serves and logs in every thread, and lets answers end', async () => {
    writeFileSync(join(directory, 'index.html'), 'hello')
    const command = [join(root, 'dist/bundle/sockmux.js'), 'serve', '--threads', '3', '--port', '0', directory]
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] })
    running.push(child)
    let [log, said] = ['', '']
    child.stdout.on('data', (text) => {
      log += text
    })
    child.stderr.on('data', (text) => {
      said += text
    })
    await until(() => /at http:\S+:\d+\/\n/.test(said))
    const load = new Load({ port: Number(/:(\d+)\/\n/.exec(said)?.[1]) }, 6)
    await load.answers(300)
    const { failed, requests, bodies } = await load.stop()
    expect([failed, [...bodies.keys()]]).toEqual([0, ['hello']])
    const exit = once(child, 'exit')
    child.kill('SIGTERM')
    expect((await exit)[0]).toBe(0)
    const lines = log.trim().split('\n')
    expect(lines).toHaveLength(requests)
    expect(lines.every((line) => /^127\.0\.0\.1 - - \[.*\] "GET \/ HTTP\/1\.1" 200 5 /.test(line))).toBe(true)
  })
})
