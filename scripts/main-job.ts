/** What `npm start` does: many transfers from a local origin in every loop there is, or the URLs it is given. */
import { once } from 'node:events'
import { type Origin, startOrigin } from '../examples/origin.ts'
import { type CommandLine, HELP, readCommandLine } from './main-job/command-line.ts'
import { loopNames, NODE_LOOP } from './main-job/loop-choice.ts'
import { ProgressLine } from './main-job/progress-line.ts'
import type { Job, LoopReport, MissingReport, TransferReport } from './main-job/report.ts'
import { runSubject } from './main-job/subject-process.ts'
import { table, transferLine, whole } from './main-job/table.ts'

const STATUS_FAILED = 1
const STATUS_INTERRUPTED = 130
const WARM_UP_TRANSFERS = 1000
const FOOTNOTE = `
p50, p99        of the time from getting a connection to the last byte
socketFunction  and timerFunction: how often they were called
calls/request   system calls of the addon, without those that Node's loop, libevent and GLib make themselves`

class MainJob {
  readonly #wanted: CommandLine
  readonly #interruption = new AbortController()
  readonly #loops: LoopReport[] = []
  readonly #missing: Record<string, string> = {}
  readonly #transfers: TransferReport[] = []
  readonly #broken: string[] = []

  constructor(wanted: CommandLine) {
    this.#wanted = wanted
  }

  interrupt(): void {
    this.#interruption.abort()
  }

  /** Returns the exit status. */
  async run(): Promise<number> {
    const { urls, loops } = this.#wanted
    const origin = urls.length > 0 ? null : await startOrigin()
    try {
      if (origin !== null) {
        this.#printHeading(origin)
        await this.#warmUp(origin)
      }
      const names = loops.length > 0 ? loops : origin === null ? [NODE_LOOP] : loopNames
      for (const name of names) {
        if (!this.#interruption.signal.aborted) await this.#runLoop(name, origin)
      }
    } finally {
      origin?.stop()
    }
    this.#printEnd()
    return this.#status()
  }

  /** The first loop would pay for the compiling of the origin's code. */
  async #warmUp(origin: Origin): Promise<void> {
    const { transfers, connections } = this.#wanted
    const count = Math.min(transfers, WARM_UP_TRANSFERS)
    const job: Job = { loop: NODE_LOOP, connections, transfers: count, origin: origin.url, urls: null }
    // What goes wrong goes wrong again where it is counted.
    await runSubject(job, this.#interruption.signal, () => {}).catch(() => {})
  }

  async #runLoop(loop: string, origin: Origin | null): Promise<void> {
    const { urls, transfers, connections, json } = this.#wanted
    const job: Job = { loop, connections, transfers, origin: origin?.url ?? '', urls: origin === null ? urls : null }
    const progress = new ProgressLine(loop.padEnd(8), job.urls?.length ?? transfers)
    try {
      await runSubject(job, this.#interruption.signal, (report) => {
        if (report.kind === 'progress') progress.update(report.done, report.failed, report.bytes)
        else if (report.kind === 'loop') this.#loops.push(report)
        else if (report.kind === 'missing') this.#noteMissing(loop, report, progress)
        else {
          this.#transfers.push(report)
          if (!json) progress.print(transferLine(report))
        }
      })
    } catch (error) {
      if (this.#interruption.signal.aborted) return
      this.#broken.push((error as Error).message)
    } finally {
      progress.stop()
    }
  }

  #noteMissing(loop: string, { reason }: MissingReport, progress: ProgressLine): void {
    this.#missing[loop] = reason
    if (!this.#wanted.json) progress.print(`${loop}: left out: ${reason}`)
  }

  #printHeading(origin: Origin): void {
    if (this.#wanted.json) return
    const { transfers, connections } = this.#wanted
    console.log(`origin: ${origin.url} (process ${origin.pid})`)
    console.log(`${whole(transfers)} transfers per loop through at most ${whole(connections)} connections`)
  }

  #printEnd(): void {
    const isLocal = this.#wanted.urls.length === 0
    if (this.#wanted.json) console.log(JSON.stringify(this.#document(isLocal), null, 2))
    else if (isLocal && this.#loops.length > 0) this.#printTable()
    for (const { loop, failed, transfers, firstFailure } of isLocal ? this.#loops : []) {
      if (failed > 0) console.error(`${loop}: ${whole(failed)} of ${whole(transfers)} failed, first ${firstFailure}`)
    }
    for (const message of this.#broken) console.error(message)
    if (this.#interruption.signal.aborted) console.error('interrupted')
  }

  #printTable(): void {
    console.log(`\n${table(this.#loops)}\n`)
    for (const { loop, name } of this.#loops) console.log(`${loop.padEnd(16)}${name}`)
    console.log(FOOTNOTE)
  }

  #document(isLocal: boolean): object {
    const { transfers, connections } = this.#wanted
    const result = { node: process.version, platform: process.platform, connections }
    const loops = this.#loops.map(({ kind: _, ...loop }) => loop)
    if (isLocal) return { ...result, transfers, loops, missing: this.#missing }
    return { ...result, transfers: this.#transfers.map(({ kind: _, ...transfer }) => transfer), loops }
  }

  #status(): number {
    if (this.#interruption.signal.aborted) return STATUS_INTERRUPTED
    const isMissing = this.#wanted.loops.some((loop) => loop in this.#missing)
    const hasFailed = this.#loops.some((loop) => loop.failed > 0)
    return isMissing || hasFailed || this.#broken.length > 0 ? STATUS_FAILED : 0
  }
}

async function main(): Promise<number> {
  const wanted = readCommandLine(process.argv.slice(2))
  if (wanted.help) {
    console.log(HELP)
    return 0
  }
  const job = new MainJob(wanted)
  // A second Ctrl-C ends at once.
  once(process, 'SIGINT').then(() => job.interrupt())
  return job.run()
}

// Somebody who read enough, as `head` does, is no failure of ours.
process.stdout.on('error', () => process.exit())

main().then(
  (status) => process.exit(status),
  (error: Error) => {
    console.error(`main-job: ${error.message}`)
    process.exitCode = STATUS_FAILED
  },
)
