import { afterEach, describe, expect, it } from 'vitest'
import { PAUSE } from '../../../lib/base/pause.ts'
import type { HttpResponse } from '../../../lib/server/http/response.ts'
import { simulate } from '../../sim/simulation.ts'
import { type AnswerFunction, ResponseBench, type ResponseBenchOptions } from '../../support/response-bench.ts'

const benches: ResponseBench[] = []

function open(answer: AnswerFunction, options: Partial<ResponseBenchOptions> = {}): ResponseBench {
  const bench = new ResponseBench({ simulation: simulate(1), answer, ...options })
  benches.push(bench)
  return bench
}

afterEach(() => {
  for (const bench of benches.splice(0)) bench.close()
})

const DATE = 'Date: Thu, 29 Feb 2024 12:00:01 GMT\r\n'

/** The whole answer to one request. */
function answerOf(
  response: HttpResponse,
  request = 'GET / HTTP/1.1\r\nHost: a',
  options: Partial<ResponseBenchOptions> = {},
): string {
  const bench = open(() => response, options)
  bench.ask(request)
  bench.step()
  bench.read()
  return bench.received
}

describe('heads', () => {
  it('carry a date and the length of the body', () => {
    expect(answerOf({ body: 'Hello', headers: { 'content-type': 'text/plain' } })).toBe(
      `HTTP/1.1 200 OK\r\n${DATE}content-type: text/plain\r\nContent-Length: 5\r\n\r\nHello`,
    )
  })
})

describe('bodies', () => {
  it('may be pulled', () => {
    const pieces = ['one', 'two', null]
    expect(answerOf({ body: () => pieces.shift() as string | null })).toBe(
      `HTTP/1.1 200 OK\r\n${DATE}Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n`,
    )
    void PAUSE
  })
})
