/** `sockmux get`: from checked options to an exit status. Data go to stdout, whatever is for people to stderr. */
import { constants } from 'node:os'
import type { Command } from './command.ts'
import { debugLines } from './debug-lines.ts'
import type { DebugFunction, Download } from './download.ts'
import { listDownloads } from './download-list.ts'
import { DownloadQueue } from './download-queue.ts'
import { GET_HELP } from './get-help.ts'
import { readGetOptions } from './get-options.ts'
import { getReport } from './get-report.ts'
import type { GetSettings } from './get-settings.ts'
import { ProgressView } from './progress-view.ts'
import { printable, seconds, size, withoutUser } from './text.ts'

/** A shell's way to say which signal it was. */
const SIGNALLED = 128
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export const getCommand: Command = {
  summary: 'download URLs into files, many at a time',
  help: GET_HELP,
  async run(parameters) {
    const settings = await readGetOptions(parameters)
    const isMixed = settings.output === '-' && process.stdout.isTTY
    const view = await ProgressView.open(!settings.quiet && !isMixed)
    return new Get(settings, view).run()
  },
}

class Get {
  readonly #settings: GetSettings
  readonly #view: ProgressView
  readonly #downloads: readonly Download[]
  readonly #queue: DownloadQueue
  #ended = 0
  #signal: (typeof SIGNALS)[number] | null = null

  constructor(settings: GetSettings, view: ProgressView) {
    this.#settings = settings
    this.#view = view
    this.#queue = new DownloadQueue(settings, {
      began: (download) => view.add(download),
      ended: (download) => this.#tellEnd(download),
      postponed: (download, delayMs) => this.#tellPostponed(download, delayMs),
    })
    this.#downloads = listDownloads(settings, {
      drained: ({ transfer }) => transfer?.resume('receive'),
      failed: (download, error) => this.#queue.fail(download, error),
      debugFor: settings.verbose ? (number) => this.#debugFunction(number) : null,
    })
  }

  async run(): Promise<number> {
    const onSignal = (signal: NodeJS.Signals): void => this.#interrupt(signal as (typeof SIGNALS)[number])
    for (const signal of SIGNALS) process.on(signal, onSignal)
    if (this.#downloads.length > 1) this.#view.begin(() => this.#totalProgress())
    for (const download of this.#downloads) if (download.state === 'failed') this.#tellEnd(download)
    await this.#queue.run(this.#downloads.filter(({ state }) => state === 'waiting'))
    this.#view.close()
    for (const signal of SIGNALS) process.off(signal, onSignal)
    return this.#report()
  }

  #totalProgress(): { done: number; total: number; text: string } {
    const bytes = this.#downloads.reduce((sum, { sink }) => sum + sink.size, 0)
    return {
      done: this.#ended,
      total: this.#downloads.length,
      text: `${this.#ended} of ${this.#downloads.length}, ${size(bytes)}`,
    }
  }

  /** A second one ends the process at once, as if nobody listened. */
  #interrupt(signal: (typeof SIGNALS)[number]): void {
    if (this.#signal !== null) process.exit(SIGNALLED + constants.signals[signal])
    this.#signal = signal
    this.#queue.interrupt()
  }

  #report(): number {
    const status = this.#status()
    if (this.#settings.json) {
      const report = getReport(this.#downloads, status, this.#signal !== null)
      process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
    }
    if (this.#signal === null) return status
    const whole = this.#downloads.filter(({ state }) => state === 'done').length
    const hasPart = this.#downloads.some(({ state, sink }) => state !== 'done' && sink.path !== null && sink.size > 0)
    const advice = hasPart ? '; --continue goes on from what is there' : ''
    this.#view.print(`sockmux: interrupted: ${whole} of ${this.#downloads.length} downloads are whole${advice}`)
    return status
  }

  #status(): number {
    if (this.#signal !== null) return SIGNALLED + constants.signals[this.#signal]
    return this.#downloads.find(({ state }) => state === 'failed')?.error?.number ?? 0
  }

  #tellEnd(download: Download): void {
    const { error, sink, url, info, resumedFrom } = download
    this.#ended++
    this.#view.remove(download)
    if (download.state === 'failed') {
      this.#view.print(`sockmux: ${printable(withoutUser(url))}: ${printable(error?.message ?? '')} (${error?.code})`)
    } else if (!this.#settings.quiet && sink.path !== null) {
      const more = sink.size - resumedFrom
      const amount = resumedFrom === 0 ? size(sink.size) : `${size(sink.size)}, ${size(more)} of them now`
      this.#view.print(`${printable(sink.path)}: ${amount} in ${seconds((info?.totalTime ?? 0) / 1000)}`)
    }
  }

  #tellPostponed({ error, url }: Download, delayMs: number): void {
    if (this.#settings.quiet) return
    const text = `${printable(withoutUser(url))}: ${printable(error?.message ?? '')}`
    this.#view.print(`${text} (${error?.code}); again in ${seconds(delayMs)}`)
  }

  #debugFunction(number: number): DebugFunction {
    const prefix = this.#settings.urls.length > 1 ? `[${number}] ` : ''
    return (kind, content) => {
      for (const line of debugLines(kind, content)) this.#view.print(`${prefix}${line}`)
    }
  }
}
