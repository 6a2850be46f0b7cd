/**
 * `sockmux serve`: from checked options to an exit status. The access log goes to stdout, whatever is for people to
 * stderr. The first signal drains, a second one stops at once.
 */
import { constants } from 'node:os'
import { Family, type SocketAddress } from '../index.ts'
import { type Command, ExitStatus } from './command.ts'
import { listenProblem } from './listen-problem.ts'
import { SERVE_HELP } from './serve-help.ts'
import { readServeOptions } from './serve-options.ts'
import type { ServeSettings } from './serve-settings.ts'
import { type Serving, type ServingTrouble, startServing } from './serving.ts'
import { printable, seconds } from './text.ts'

/** A shell's way to say which signal it was. */
const SIGNALLED = 128
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

export const serveCommand: Command = {
  summary: 'serve the files of a directory over HTTP',
  help: SERVE_HELP,
  async run(parameters) {
    return new Serve(readServeOptions(parameters)).run()
  },
}

class Serve {
  readonly #settings: ServeSettings
  #serving: Serving | null = null
  #isSignalled = false
  #isFaulted = false
  readonly #wanted: Promise<void>
  #stop: () => void = () => {}

  constructor(settings: ServeSettings) {
    this.#settings = settings
    this.#wanted = new Promise((resolve) => {
      this.#stop = resolve
    })
  }

  async run(): Promise<number> {
    const onSignal = (signal: NodeJS.Signals): void => this.#onSignal(signal)
    // Heard before the first client is: a signal in between stops it as any other.
    for (const signal of SIGNALS) process.on(signal, onSignal)
    try {
      this.#serving = await this.#start()
      await this.#wanted
      await this.#drain(this.#serving)
    } finally {
      for (const signal of SIGNALS) process.off(signal, onSignal)
    }
    return this.#isFaulted ? ExitStatus.FAILED : ExitStatus.OK
  }

  async #start(): Promise<Serving> {
    const { root, tls } = this.#settings
    try {
      const serving = await startServing(this.#settings, (error, trouble) => this.#tellError(error, trouble))
      for (const address of serving.addresses) this.#print(`serving ${root} at ${urlOf(address, tls !== null)}`)
      return serving
    } catch (error) {
      throw listenProblem(error)
    }
  }

  #tellError(error: unknown, { operation, client, retryInMs, fatal }: ServingTrouble): void {
    const message = error instanceof Error ? error.message : String(error)
    const whose = client === '' ? '' : ` of ${client}`
    const again = retryInMs > 0 ? `; again in ${seconds(retryInMs)}` : ''
    process.stderr.write(`sockmux: ${operation}${whose}: ${printable(message)}${again}\n`)
    if (!fatal) return
    this.#isFaulted = true
    this.#stop()
  }

  /** A second one ends the process at once, as if nobody listened. */
  #onSignal(signal: NodeJS.Signals): void {
    if (!this.#isSignalled) {
      this.#isSignalled = true
      this.#stop()
      return
    }
    this.#serving?.flush()
    process.exit(SIGNALLED + constants.signals[signal])
  }

  async #drain(serving: Serving): Promise<void> {
    const { graceMs } = this.#settings
    const { connections } = serving
    const leaving = serving.leave(graceMs)
    if (connections > 0 && graceMs > 0) {
      this.#print(`stopping: ${connectionsOf(connections)} may take ${seconds(graceMs)}; a second signal does not wait`)
    }
    const { cut } = await leaving
    if (cut > 0) this.#print(`stopped: ${connectionsOf(cut)} cut`)
  }

  #print(text: string): void {
    if (!this.#settings.quiet) process.stderr.write(`sockmux: ${printable(text)}\n`)
  }
}

function connectionsOf(count: number): string {
  return count === 1 ? '1 connection' : `${count} connections`
}

function urlOf({ family, address, port }: SocketAddress, isSecure: boolean): string {
  if (family === Family.UNIX) return `the socket ${address.replace('\0', '@')}`
  const host = family === Family.IPV6 ? `[${address}]` : address
  return `${isSecure ? 'https' : 'http'}://${host}:${port}/`
}
