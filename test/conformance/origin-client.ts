/** Starts the thread of the real origin once per test file, and asks it. */
import type { Worker } from 'node:worker_threads'
import type { OriginAnswer, OriginQuestion, OriginView, RealOriginOptions } from './origin-protocol.ts'
import { startTypeScriptWorker } from './typescript-worker.ts'

type Question = OriginQuestion extends infer Each ? (Each extends unknown ? Omit<Each, 'id'> : never) : never

export class OriginThread {
  readonly #worker: Worker
  readonly #waiting = new Map<number, { resolve(answer: OriginAnswer): void; reject(error: unknown): void }>()
  #lastId = 0

  constructor() {
    this.#worker = startTypeScriptWorker('test/conformance/origin-server.ts')
    this.#worker.on('message', (answer: OriginAnswer) => {
      this.#waiting.get(answer.id)?.resolve(answer)
      this.#waiting.delete(answer.id)
    })
    this.#worker.on('error', (error) => {
      for (const { reject } of this.#waiting.values()) reject(error)
      this.#waiting.clear()
    })
  }

  open(options: RealOriginOptions): Promise<OriginView> {
    return this.#ask({ ask: 'open', options })
  }

  look(origin: number): Promise<OriginView> {
    return this.#ask({ ask: 'look', origin })
  }

  close(origin: number): Promise<OriginView> {
    return this.#ask({ ask: 'close', origin })
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }

  #ask(question: Question): Promise<OriginAnswer> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#worker.postMessage({ ...question, id } as OriginQuestion)
    })
  }
}
