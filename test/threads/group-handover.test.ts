import { spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, describe, expect, it } from 'vitest'
import type { ShareMode } from '../../lib/index.ts'
import { freePorts, makeDirectory } from '../support/child-server.ts'
import { Load } from './load.ts'
import { moduleFile, until } from './support.ts'

const directory = makeDirectory('group-handover')
const ends: (() => Promise<unknown>)[] = []

afterAll(async () => {
  for (const end of ends) await end()
  rmSync(directory, { recursive: true, force: true })
})

interface Generation {
  readonly told: Record<string, unknown>[]
  readonly exit: Promise<void>
  stop(): Promise<void>
}

async function start(...args: (string | number)[]): Promise<Generation> {
  const child = spawn(process.execPath, [moduleFile('group-process.mjs'), ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const told: Record<string, unknown>[] = []
  createInterface({ input: child.stdout }).on('line', (line) => told.push(JSON.parse(line)))
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  ends.push(() => {
    child.kill('SIGKILL')
    return exit
  })
  await until(() => told.length > 0)
  const stop = (): Promise<void> => {
    child.kill('SIGTERM')
    return exit
  }
  return { told, exit, stop }
}

describe('the handover of a group', () => {
  for (const [share, sockets] of [
    ['reuseport', 2],
    ['handoff', 1],
  ] as const satisfies [ShareMode, number][]) {
    it(`fails no request, with every queue of '${share}'`, async () => {
      const path = join(directory, `${share}.sock`)
      const port = (await freePorts(1))[0] as number
      const first = await start(path, port, share, 2)
      const load = new Load({ port }, 8)
      await load.answers(100)
      // With as many threads, and with one more, which then share the queues.
      const second = await start(path, 0, share, 2)
      await first.exit
      await load.answers(200)
      const third = await start(path, 0, share, 3)
      await second.exit
      await load.answers(200)
      for (const { told } of [first, second]) {
        expect(told[0]).toMatchObject({ sockets, addresses: 1 })
        expect(told[1]).toMatchObject({ done: { complete: true } })
      }
      const { failed, errors } = await load.stop()
      expect({ failed, errors: [...errors] }).toEqual({ failed: 0, errors: [] })
      await third.stop()
      expect(existsSync(path)).toBe(false)
    }, 60_000)
  }
})
