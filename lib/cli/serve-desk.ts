/** What `sockmux serve` does with a request: answers it, and notes in the access log how that ended. */
import type { HttpRequest, HttpResponse, RequestEnd, RequestTimings } from '../index.ts'
import { AccessLog } from './access-log.ts'
import { bodyBytesOf, serveAnswer } from './serve-answer.ts'
import type { ServeSettings } from './serve-settings.ts'

/** What the log says of an answer; kept with its request. */
interface Answer {
  readonly status: number
  readonly bytes: number
}

export class ServeDesk {
  readonly #settings: ServeSettings
  readonly #log: AccessLog | null

  constructor(settings: ServeSettings) {
    this.#settings = settings
    this.#log = settings.quiet ? null : new AccessLog(settings.log)
  }

  answer(request: HttpRequest): HttpResponse {
    const response = serveAnswer(request, this.#settings)
    const answer: Answer = { status: response.status ?? 200, bytes: bodyBytesOf(request, response) }
    request.data = answer
    return response
  }

  tell(request: HttpRequest, end: RequestEnd, { startedAt, endedAt }: RequestTimings): void {
    // What threw was answered by the server itself.
    const { status, bytes } = (request.data as Answer | undefined) ?? { status: 500, bytes: 0 }
    const durationMs = endedAt - startedAt
    this.#log?.add({ request, end, status, bytes, startedAt: new Date(Date.now() - durationMs), durationMs })
  }

  flush(): void {
    this.#log?.flush()
  }
}
