/** Clients of servers in threads, and what the process has open. */
import { readdirSync, readlinkSync } from 'node:fs'
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { join } from 'node:path'
import { root } from '../support/source-tree.ts'

export function moduleFile(name: string): string {
  return join(root, 'test/threads/modules', name)
}

/** A client that keeps what it received. */
export class Client {
  readonly socket: Socket
  text = ''
  /** How it ended: '' while it has not. */
  end = ''
  readonly #waiters = new Set<() => void>()

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.text += text
      this.#changed()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.end = error.code ?? 'error'
    })
    socket.on('end', () => {
      this.end = 'end'
    })
    socket.on('close', () => {
      if (this.end === '') this.end = 'close'
      this.#changed()
    })
  }

  static async open(options: NetConnectOpts | number): Promise<Client> {
    const socket = connect(typeof options === 'number' ? { port: options, host: '127.0.0.1' } : options)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new Client(socket)
  }

  send(text: string): this {
    this.socket.write(text)
    return this
  }

  /** Until it has received that. */
  async received(text: string): Promise<void> {
    while (!this.text.includes(text)) {
      if (this.socket.closed) throw new Error(`closed (${this.end}) after ${JSON.stringify(this.text)}`)
      await this.#change()
    }
  }

  async ended(): Promise<string> {
    while (!this.socket.closed) await this.#change()
    return this.end
  }

  close(): void {
    this.socket.destroy()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve))
  }

  #changed(): void {
    for (const waiter of this.#waiters) waiter()
    this.#waiters.clear()
  }
}

/** Sockets that this process has open, as the system names them. */
export function openSockets(): string[] {
  const found: string[] = []
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      const target = readlinkSync(`/proc/self/fd/${name}`)
      if (target.startsWith('socket:')) found.push(target)
    } catch {
      // The descriptor of the directory itself.
    }
  }
  return found.sort()
}

/** Until it holds; the test's own deadline bounds it. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5))
}
