/**
 * What people see while downloads run, on stderr: lines, and on a terminal a bar for each download below them. The
 * package that draws is loaded for a terminal only.
 */
import type { MultiBar, Options, Params, SingleBar } from 'cli-progress'
import type { Download } from './download.ts'
import { printable, size } from './text.ts'

const FRAMES_PER_SECOND = 8
const BAR_COLUMNS = 24
const NAME_COLUMNS_MAX = 32
const BARS_MAX = 12
/** Of a terminal that does not know its size. */
const COLUMNS = 80

interface Payload {
  readonly label: string
  readonly progress: () => Progress
}

interface Progress {
  readonly done: number
  /** -1 while unknown. */
  readonly total: number
  readonly text: string
}

export class ProgressView {
  #bars: MultiBar | null
  readonly #barOf = new Map<Download, SingleBar>()
  #total: SingleBar | null = null

  constructor(bars: MultiBar | null) {
    this.#bars = bars
  }

  /** `showsBars`: on a terminal, if somebody wants to see them. */
  static async open(showsBars: boolean): Promise<ProgressView> {
    if (!showsBars || !process.stderr.isTTY) return new ProgressView(null)
    const { default: cliProgress } = await import('cli-progress')
    const bars = new cliProgress.MultiBar({
      format: drawBar as unknown as string,
      stream: process.stderr,
      fps: FRAMES_PER_SECOND,
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: false,
      // Ctrl-C is the command's.
      gracefulExit: false,
    })
    return new ProgressView(bars)
  }

  /** A bar for all, when there are several. */
  begin(progress: () => Progress): void {
    if (this.#bars !== null) this.#total = this.#bars.create(1, 0, { label: 'total', progress })
  }

  add(download: Download): void {
    if (this.#bars === null || this.#barOf.has(download)) return
    if (this.#barOf.size >= Math.min(BARS_MAX, (process.stderr.rows || BARS_MAX) - 3)) return
    const payload: Payload = { label: download.sink.path ?? download.url, progress: () => progressOf(download) }
    this.#barOf.set(download, this.#bars.create(1, 0, payload))
  }

  remove(download: Download): void {
    const bar = this.#barOf.get(download)
    if (bar === undefined) return
    this.#barOf.delete(download)
    this.#bars?.remove(bar)
  }

  print(line: string): void {
    if (this.#bars === null || !this.#bars.isActive) process.stderr.write(`${line}\n`)
    else this.#bars.log(`${line}\n`)
  }

  /** Takes the bars away and shows the cursor again. */
  close(): void {
    const bars = this.#bars
    this.#bars = null
    if (bars === null) return
    for (const bar of [...this.#barOf.values(), this.#total]) if (bar !== null) bars.remove(bar)
    // Lines that were not printed yet.
    if (bars.isActive) bars.update()
    bars.stop()
  }
}

function progressOf({ sink, expectedSize, info }: Download): Progress {
  const ms = (info?.totalTime ?? 0) / 1000
  const speed = ms > 0 ? ` ${size(Math.round(((info?.bytesReceived ?? 0) * 1000) / ms))}/s` : ''
  return { done: sink.size, total: expectedSize, text: `${size(sink.size)}${speed}` }
}

function drawBar(_options: Options, _params: Params, { label, progress }: Payload): string {
  const { done, total, text } = progress()
  const share = total > 0 ? Math.min(1, done / total) : 0
  const filled = Math.round(share * BAR_COLUMNS)
  const bar = total >= 0 ? `${'#'.repeat(filled)}${'.'.repeat(BAR_COLUMNS - filled)}` : '-'.repeat(BAR_COLUMNS)
  const percent = total > 0 ? `${Math.floor(share * 100)}%` : ''
  const columns = (process.stderr.columns || COLUMNS) - 1
  return `${shortened(label)} [${bar}] ${percent.padStart(4)} ${text}`.slice(0, columns)
}

function shortened(label: string): string {
  const name = printable(label)
  return (name.length > NAME_COLUMNS_MAX ? `…${name.slice(1 - NAME_COLUMNS_MAX)}` : name).padEnd(NAME_COLUMNS_MAX)
}
