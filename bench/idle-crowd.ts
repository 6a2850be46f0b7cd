/**
 * Keep-alive connections that were served once and then rest, from a process of their own: `node idle-crowd.js PORT`
 * reads a number per line and opens as many more, and says "open N" when all of them were answered.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { connect } from 'node:net'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { scriptCommand } from './contenders.ts'
import { pins } from './measure.ts'

const OPEN_MS_MAX = 60_000
/** So many are being opened at a time: fewer than any server's backlog. */
const OPENING_MAX = 100
const REQUEST = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'

export class IdleCrowd {
  readonly #child: ChildProcess
  readonly #lines: Interface

  constructor(port: number) {
    const [program = '', ...parameters] = [...pins().load, ...scriptCommand('idle-crowd', String(port))]
    this.#child = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })
  }

  async grow(count: number): Promise<void> {
    const told = new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${count} connections do not open`)), OPEN_MS_MAX)
      this.#child.once('exit', (status) => reject(new Error(`the idle connections ended with ${status}`)))
      this.#lines.once('line', (line) => {
        clearTimeout(timer)
        resolve(line)
      })
    })
    this.#child.stdin?.write(`${count}\n`)
    const line = await told
    if (line !== `open ${count}`) throw new Error(line)
  }

  async close(): Promise<void> {
    const child = this.#child
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }
}

function openOne(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => socket.write(REQUEST))
    socket.once('data', () => resolve())
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('a connection was closed')))
  })
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const port = Number(process.argv[2])
  for await (const line of createInterface({ input: process.stdin })) {
    const count = Number(line)
    for (let opened = 0; opened < count; opened += OPENING_MAX) {
      const wave = Math.min(OPENING_MAX, count - opened)
      await Promise.all(Array.from({ length: wave }, () => openOne(port)))
    }
    console.log(`open ${count}`)
  }
}
