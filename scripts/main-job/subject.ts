/**
 * One loop, in a process of its own: a fresh one measures alone, ends with one signal although its loop may be
 * synchronous, and takes nothing else with it. Reads a Job from stdin and writes Reports to stdout.
 */
import { readFileSync, writeSync } from 'node:fs'
import { type Message, Transfer, type TransferError } from 'sockmux'
import { CountedMulti } from '../../examples/counted-multi.ts'
import { MissingLibrary } from '../../examples/library.ts'
import type { Loop } from '../../examples/loop.ts'
import { systemCalls } from '../../lib/sys/native.ts'
import { Assignment } from './assignment.ts'
import { plugOf } from './loop-choice.ts'
import type { Failure, Job, Report } from './report.ts'

const STDIN = 0
const STDOUT = 1
const PROGRESS_INTERVAL_MS = 100

function report(line: Report): void {
  try {
    writeSync(STDOUT, `${JSON.stringify(line)}\n`)
  } catch (error) {
    // The parent is gone, and nobody wants to know.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(1)
    throw error
  }
}

class Subject {
  readonly #job: Job
  readonly #multi: CountedMulti
  readonly #latencies: number[] = []
  #failed = 0
  #firstFailure: string | null = null
  #bytes = 0
  #progressAt = 0

  constructor(job: Job) {
    this.#job = job
    this.#multi = new CountedMulti({ maxHostConnections: job.connections, maxTotalConnections: job.connections })
  }

  async run(): Promise<void> {
    const multi = this.#multi
    const loop = plugOf(this.#job.loop)(multi)
    const transfers = this.#job.urls?.map((url) => new Transfer({ url })) ?? this.#assigned()
    const callsBefore = systemCalls()
    const started = performance.now()
    const ended = new Promise<void>((resolve, reject) => {
      multi.setNotifyFunction(() => {
        try {
          this.#readMessages()
        } catch (error) {
          reject(error)
        }
        if (multi.running === 0) resolve()
      })
    })
    for (const transfer of transfers) multi.add(transfer)
    loop.run?.()
    await ended
    this.#reportLoop(loop, performance.now() - started, callsBefore)
    loop.close()
    multi.close()
  }

  #assigned(): Transfer[] {
    return Array.from({ length: this.#job.transfers }, (_, index) => {
      const assignment = new Assignment(index)
      const onData = (chunk: Uint8Array): void => assignment.take(chunk)
      return new Transfer({ url: this.#job.origin + assignment.path, onData, data: assignment })
    })
  }

  #readMessages(): void {
    const multi = this.#multi
    for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
      this.#take(message)
      multi.remove(message.transfer)
    }
    const now = performance.now()
    if (now < this.#progressAt) return
    this.#progressAt = now + PROGRESS_INTERVAL_MS
    report({ kind: 'progress', done: this.#latencies.length, failed: this.#failed, bytes: this.#bytes })
  }

  #take({ transfer, error }: Message): void {
    const { info, data } = transfer
    this.#bytes += info.bytesReceived
    this.#latencies.push((info.totalTime - info.queueTime) / 1000)
    const problem = data instanceof Assignment ? data.problem(info.status) : null
    const words = error === null ? problem : `${error.code}: ${error.message}`
    if (words !== null) {
      this.#failed++
      this.#firstFailure ??= words
    }
    if (this.#job.urls === null) return
    report({
      kind: 'transfer',
      url: info.effectiveUrl,
      status: info.status,
      bytes: info.bytesReceived,
      elapsedMs: info.totalTime / 1000,
      failure: failureOf(error),
    })
  }

  #reportLoop(loop: Loop, elapsedMs: number, callsBefore: Readonly<Record<string, number>>): void {
    const latencies = this.#latencies.sort((a, b) => a - b)
    const percentile = (share: number): number => latencies[Math.ceil(share * latencies.length) - 1] ?? 0
    const calls = Object.entries(systemCalls()).map(
      ([name, count]) => [name, count - (callsBefore[name] ?? 0)] as const,
    )
    report({
      kind: 'loop',
      loop: this.#job.loop,
      name: loop.name,
      transfers: latencies.length,
      failed: this.#failed,
      firstFailure: this.#firstFailure,
      bytes: this.#bytes,
      elapsedMs,
      p50Ms: percentile(0.5),
      p99Ms: percentile(0.99),
      socketFunctionCalls: this.#multi.socketFunctionCalls,
      timerFunctionCalls: this.#multi.timerFunctionCalls,
      iterations: loop.iterations,
      systemCalls: Object.fromEntries(calls.filter(([, count]) => count > 0)),
    })
  }
}

function failureOf(error: TransferError | null): Failure | null {
  return error === null ? null : { code: error.code, number: error.number, message: error.message }
}

try {
  await new Subject(JSON.parse(readFileSync(STDIN, 'utf8')) as Job).run()
} catch (error) {
  if (!(error instanceof MissingLibrary)) throw error
  report({ kind: 'missing', reason: error.message })
}
