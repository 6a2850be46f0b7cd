/**
 * Runs downloads on a Multi in Node's loop: at most so many at a time, at most so many per host, in turn. A download
 * that waits for its next attempt holds no place. Resolves when all have ended, or were interrupted.
 */
import { attachToNodeLoop, Multi, type NodeLoopAttachment, type Transfer } from '../index.ts'
import type { Download } from './download.ts'
import { DownloadError } from './download-error.ts'
import type { GetSettings } from './get-settings.ts'

export interface QueueListener {
  began(download: Download): void
  ended(download: Download): void
  /** It failed, and will be tried again. */
  postponed(download: Download, delayMs: number): void
}

export class DownloadQueue {
  readonly #multi: Multi
  readonly #loop: NodeLoopAttachment
  readonly #settings: GetSettings
  readonly #listener: QueueListener
  /** Waiting ones by origin; an origin's place moves behind the others when one of its downloads begins. */
  readonly #waiting = new Map<string, Download[]>()
  readonly #running = new Map<Transfer, Download>()
  readonly #runningPerOrigin = new Map<string, number>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #left = 0
  #isClosed = false
  #resolve: () => void = () => {}

  constructor(settings: GetSettings, listener: QueueListener) {
    this.#settings = settings
    this.#listener = listener
    this.#multi = new Multi({
      maxTotalConnections: settings.maxConnections,
      maxHostConnections: settings.maxHostConnections,
      notifyFunction: () => this.#readMessages(),
    })
    this.#loop = attachToNodeLoop(this.#multi)
  }

  run(downloads: readonly Download[]): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve
      this.#left = downloads.length
      for (const download of downloads) this.#wait(download)
      this.#fill()
      this.#closeWhenDone()
    })
  }

  /** Stops everything at once; what is there is kept. */
  interrupt(): void {
    for (const [transfer, download] of this.#running) {
      this.#multi.remove(transfer)
      download.stop()
    }
    this.#running.clear()
    this.#close()
  }

  /** From outside of the transfer: its sink cannot go on. */
  fail(download: Download, error: DownloadError): void {
    const { transfer } = download
    const isRunning = transfer !== null && this.#running.has(transfer)
    if (isRunning) this.#release(transfer, download)
    download.fail(error)
    if (!isRunning) return
    this.#finish(download)
    this.#fill()
    this.#closeWhenDone()
  }

  #wait(download: Download): void {
    const others = this.#waiting.get(download.origin)
    if (others === undefined) this.#waiting.set(download.origin, [download])
    else others.push(download)
  }

  #fill(): void {
    while (!this.#isClosed && this.#running.size < this.#settings.maxConnections) {
      const download = this.#next()
      if (download === null) return
      this.#begin(download)
    }
  }

  #next(): Download | null {
    for (const [origin, downloads] of this.#waiting) {
      if ((this.#runningPerOrigin.get(origin) ?? 0) >= this.#settings.maxHostConnections) continue
      const download = downloads.shift() as Download
      this.#waiting.delete(origin)
      if (downloads.length > 0) this.#waiting.set(origin, downloads)
      return download
    }
    return null
  }

  #begin(download: Download): void {
    let transfer: Transfer
    try {
      transfer = download.begin()
    } catch (error) {
      if (!(error instanceof DownloadError)) throw error
      download.fail(error)
      this.#finish(download)
      return
    }
    this.#running.set(transfer, download)
    this.#runningPerOrigin.set(download.origin, (this.#runningPerOrigin.get(download.origin) ?? 0) + 1)
    this.#listener.began(download)
    this.#multi.add(transfer)
  }

  #readMessages(): void {
    for (let message = this.#multi.infoRead(); message !== undefined; message = this.#multi.infoRead()) {
      const { transfer, error } = message
      const download = this.#running.get(transfer)
      if (download === undefined) continue
      this.#release(transfer, download)
      const verdict = download.end(error)
      if (verdict.ended) this.#finish(download)
      else this.#postpone(download, verdict.delayMs)
    }
    this.#fill()
    this.#closeWhenDone()
  }

  #release(transfer: Transfer, download: Download): void {
    this.#running.delete(transfer)
    this.#runningPerOrigin.set(download.origin, (this.#runningPerOrigin.get(download.origin) ?? 1) - 1)
    this.#multi.remove(transfer)
  }

  #finish(download: Download): void {
    this.#left--
    this.#listener.ended(download)
  }

  #postpone(download: Download, delayMs: number): void {
    if (delayMs > 0) this.#listener.postponed(download, delayMs)
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#wait(download)
      this.#fill()
      this.#closeWhenDone()
    }, delayMs)
    this.#timers.add(timer)
  }

  #closeWhenDone(): void {
    // Behind a callback of the engine, where it may be closed.
    if (this.#left === 0) setImmediate(() => this.#close())
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.#loop.detach()
    this.#multi.close()
    this.#resolve()
  }
}
