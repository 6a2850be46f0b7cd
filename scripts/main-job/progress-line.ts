/** A live line on a terminal, on stderr; on anything else nothing. */
import cliProgress from 'cli-progress'
import { megabytes } from './table.ts'

const FRAMES_PER_SECOND = 10

export class ProgressLine {
  readonly #bar: cliProgress.SingleBar | null

  constructor(title: string, total: number) {
    this.#bar = null
    if (!process.stderr.isTTY) return
    this.#bar = new cliProgress.SingleBar({
      format: '{title} [{bar}] {value}/{total} {megabytes} MB {failed}',
      stream: process.stderr,
      fps: FRAMES_PER_SECOND,
      barsize: 30,
      barCompleteChar: '#',
      barIncompleteChar: '.',
      hideCursor: true,
      clearOnComplete: true,
    })
    this.#bar.start(total, 0, { title, megabytes: '0.0', failed: '' })
  }

  update(done: number, failed: number, bytes: number): void {
    this.#bar?.update(done, { megabytes: megabytes(bytes), failed: failed === 0 ? '' : `${failed} failed` })
  }

  /** Prints a line to stdout above this one. */
  print(line: string): void {
    if (this.#bar !== null) {
      process.stderr.cursorTo(0)
      process.stderr.clearLine(0)
    }
    console.log(line)
    this.#bar?.render()
  }

  /** Takes the line away and shows the cursor again. */
  stop(): void {
    this.#bar?.stop()
  }
}
