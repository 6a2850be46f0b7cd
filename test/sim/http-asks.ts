/**
 * What simulated clients ask of a simulated HTTP server, whole and broken, and what the answers say about that. The
 * target of a request says how it is to be answered, /ID/MODE/KIND/SIZE, so that every answer can be checked by its
 * content.
 */
import { expect } from 'vitest'
import { originBytes } from './origin.ts'
import type { Random } from './random.ts'

/** When the handler answers. */
export const MODES = ['now', 'promise', 'later', 'respond'] as const
export type Mode = (typeof MODES)[number]

/** Kinds of bodies that are answered, all with SIZE bytes of `originBytes(KIND)`. */
export const BODIES = [
  'text',
  'bytes',
  'array',
  'iterable',
  'pull',
  'sized',
  'async',
  'stream',
  'file',
  'prepared',
  'hinted',
] as const
/** Of requests with a body, which is answered. */
export const ECHOES = ['collect', 'pieces', 'sink'] as const
/** Go wrong in the program; none of them ends as a whole answer with 200. */
export const FAULTS = ['throw', 'reject', 'nothing', 'broken', 'short', 'close', 'abort', 'hang', 'drain'] as const
/** The connection speaks another protocol from there on. */
export const UPGRADES = ['raw', 'websocket'] as const
export type Kind =
  | (typeof BODIES)[number]
  | (typeof ECHOES)[number]
  | (typeof FAULTS)[number]
  | (typeof UPGRADES)[number]
  | 'teapot'

export interface Ask {
  readonly id: number
  readonly method: string
  readonly kind: Kind
  readonly size: number
  /** One byte a character. */
  readonly text: string
  /** Of the answer. */
  readonly expected: Buffer
  /** The server must refuse it. */
  readonly isBroken: boolean
  /** Nothing behind it will be answered. */
  readonly isLast: boolean
  /** Behind 101. */
  readonly tail: Buffer
}

export interface AskOptions {
  /** Nothing is broken or goes wrong. */
  readonly isWell: boolean
  readonly isLast: boolean
}

const TEAPOT = 418
/** The close frame of a server that takes leave. */
const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9])
const NOTHING = Buffer.alloc(0)
/** Answers of the server itself, or of a handler that threw. */
const OWN_STATUSES: ReadonlySet<number> = new Set([400, 408, 413, 414, TEAPOT, 417, 431, 500, 501, 503, 505])

const BROKEN: readonly ((target: string) => string)[] = [
  () => 'GET\r\n\r\n',
  (target) => `GET ${target} HTTP/1.1\r\n\r\n`,
  (target) => `GET ${target} HTTP/2.0\r\nHost: a\r\n\r\n`,
  (target) => `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`,
  (target) => `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  (target) => `POST ${target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n`,
  (target) => `GET ${target}/${'x'.repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  (target) => `GET ${target} HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
  (target) => `GET ${target} HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n`,
  (target) => `GET ${target} HTTP/1.1\r\nHost: a\r\nExpect: something\r\n\r\n`,
]

/** Heads that are whole, and bodies that are not: answered, or refused, and nothing follows. */
const CUT: readonly ((target: string) => string)[] = [
  (target) => `POST ${target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n`,
  (target) => `POST ${target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!!\r\n0\r\n\r\n`,
  (target) => `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhello`,
]

export function drawAsk(random: Random, id: number, { isWell, isLast }: AskOptions): Ask {
  const mode = random.pick(MODES)
  if (isLast && random.chance(0.1)) return upgradeAsk(random, id, mode)
  if (!isWell && random.chance(0.15)) {
    const [kind, isCut]: [Kind, boolean] = [random.pick(['text', ...ECHOES]), random.chance(0.3)]
    const text = random.pick(isCut ? CUT : BROKEN)(`/${id}/${mode}/${kind}/5`)
    const expected = kind === 'text' ? Buffer.from(originBytes('text', 5)) : NOTHING
    return { ...PLAIN, id, method: 'POST', kind, text, expected, isBroken: !isCut, isLast: true }
  }
  const isEcho = random.chance(0.35)
  const failing: readonly Kind[] = isWell ? ['teapot'] : ['teapot', ...FAULTS]
  const kind = random.chance(0.15) ? random.pick(failing) : isEcho ? random.pick(ECHOES) : random.pick(BODIES)
  const size = random.chance(0.5) ? random.int(200) : random.int(50_000)
  const content = isEcho ? Buffer.from(originBytes('sent', size)) : NOTHING
  const target = `/${id}/${mode}/${kind}/${size}`
  // What has no length ends an old connection, whatever was asked for.
  const isOld = random.chance(0.3) && (isLast || !isWell)
  const method = isEcho ? 'POST' : random.chance(0.1) ? 'HEAD' : 'GET'
  const head = `${method} ${target} HTTP/${isOld ? '1.0' : '1.1'}\r\n${fieldsOf(random, isOld, isLast)}`
  const mayExpect = !isOld && (!isWell || kind !== 'teapot')
  const text = isEcho ? withBody(random, head, content, isOld, mayExpect) : `${head}\r\n`
  const expected = (ECHOES as readonly Kind[]).includes(kind) ? content : Buffer.from(originBytes(kind, size))
  return { ...PLAIN, id, method, kind, size, text, expected: method === 'HEAD' ? NOTHING : expected }
}

const PLAIN = { method: 'GET', size: 0, expected: NOTHING, isBroken: false, isLast: false, tail: NOTHING }

function fieldsOf(random: Random, isOld: boolean, isLast: boolean): string {
  const keeps = isOld && !isLast && random.chance(0.7) ? 'Connection: keep-alive\r\n' : ''
  return `Host: a\r\n${keeps}${isLast ? 'Connection: close\r\n' : ''}`
}

function withBody(random: Random, head: string, content: Buffer, isOld: boolean, mayExpect: boolean): string {
  const body = content.toString('latin1')
  const expects = mayExpect && random.chance(0.3) ? 'Expect: 100-continue\r\n' : ''
  if (isOld || random.chance(0.5)) return `${head}${expects}Content-Length: ${content.length}\r\n\r\n${body}`
  let chunks = ''
  for (let at = 0; at < body.length; ) {
    const piece = body.slice(at, at + random.between(1, 10_000))
    chunks += `${piece.length.toString(16)}\r\n${piece}\r\n`
    at += piece.length
  }
  const trailer = random.chance(0.3) ? 'X-T: 1\r\n' : ''
  return `${head}${expects}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n${trailer}\r\n`
}

/** The client says at once what it has to say in the other protocol. */
function upgradeAsk(random: Random, id: number, mode: Mode): Ask {
  const kind = random.pick(UPGRADES)
  const said = Buffer.alloc(random.between(1, 125), 'said ')
  const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
  const protocol = kind === 'websocket' ? `websocket\r\n${key}` : 'echo\r\n'
  const head = `GET /${id}/${mode}/${kind}/0 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n`
  // A mask of zeros leaves the bytes as they are; then a close frame.
  const frames = Buffer.concat([
    Buffer.from([0x82, 0x80 | said.length, 0, 0, 0, 0]),
    said,
    Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]),
  ])
  const text = head + (kind === 'raw' ? said : frames).toString('latin1')
  const echoed = Buffer.concat([Buffer.from([0x82, said.length]), said, Buffer.from([0x88, 0x02, 0x03, 0xe8])])
  return { ...PLAIN, id, kind, text, tail: kind === 'raw' ? said : echoed }
}

export interface Answer {
  readonly status: number
  readonly head: string
  readonly body: Buffer
  /** By its framing; one that goes on until the end of the connection is, when that came in order. */
  readonly isWhole: boolean
}

/** Final answers, in order. */
function readAnswers(bytes: Buffer, asks: readonly Ask[], isEnded: boolean): Answer[] {
  const answers: Answer[] = []
  let at = 0
  while (at < bytes.length) {
    const end = bytes.indexOf('\r\n\r\n', at)
    if (end < 0) break
    const head = bytes.toString('latin1', at, end + 2)
    const status = Number(/^HTTP\/1\.[01] (\d{3}) ?[^\r]*\r\n/.exec(head)?.[1] ?? Number.NaN)
    expect(status, head).not.toBeNaN()
    at = end + 4
    if (status !== 101 && status < 200) continue
    const body = readBody(bytes.subarray(at), head, status, asks[answers.length]?.method ?? 'GET', isEnded)
    answers.push({ status, head, body: body.bytes, isWhole: body.isWhole })
    at += body.consumed
    if (!body.isWhole) break
  }
  return answers
}

interface ReadBody {
  readonly bytes: Buffer
  readonly consumed: number
  readonly isWhole: boolean
}

function readBody(rest: Buffer, head: string, status: number, method: string, isEnded: boolean): ReadBody {
  if (status === 101) return { bytes: rest, consumed: rest.length, isWhole: true }
  if (method === 'HEAD' || status === 204 || status === 304) return { bytes: NOTHING, consumed: 0, isWhole: true }
  if (/\r\ntransfer-encoding: chunked\r\n/i.test(head)) return readChunks(rest)
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1]
  if (length === undefined) return { bytes: rest, consumed: rest.length, isWhole: isEnded }
  const bytes = rest.subarray(0, Number(length))
  return { bytes, consumed: bytes.length, isWhole: bytes.length === Number(length) }
}

function readChunks(rest: Buffer): ReadBody {
  const pieces: Buffer[] = []
  for (let at = 0; ; ) {
    const line = rest.indexOf('\r\n', at)
    const cut = { bytes: Buffer.concat(pieces), consumed: rest.length, isWhole: false }
    if (line < 0) return cut
    const size = Number.parseInt(rest.toString('latin1', at, line), 16)
    expect(size).not.toBeNaN()
    if (size === 0) {
      const end = rest.indexOf('\r\n\r\n', line)
      return end < 0 ? cut : { ...cut, consumed: end + 4, isWhole: true }
    }
    pieces.push(rest.subarray(line + 2, line + 2 + size))
    if (rest.length < line + 2 + size + 2) return { ...cut, bytes: Buffer.concat(pieces) }
    at = line + 2 + size + 2
  }
}

/** Throws when an answer is not that to its question, or a whole one is not what was expected. */
export function checkAnswers(received: Buffer, asks: readonly Ask[], isEnded: boolean, isWell: boolean): void {
  const answers = readAnswers(received, asks, isEnded)
  expect(answers.length).toBeLessThanOrEqual(asks.length)
  for (let i = 0; i < answers.length; i++) checkAnswer(answers[i] as Answer, asks[i] as Ask)
  if (!isWell) return
  expect(answers.map(({ status }) => status)).toHaveLength(asks.length)
  for (let i = 0; i < answers.length; i++) {
    const [{ isWhole, status }, { kind }] = [answers[i] as Answer, asks[i] as Ask]
    const isUpgrade = (UPGRADES as readonly Kind[]).includes(kind)
    expect([kind, isWhole, status]).toEqual([kind, true, kind === 'teapot' ? TEAPOT : isUpgrade ? 101 : 200])
    if (isUpgrade) expect(answers[i]?.body).toEqual(asks[i]?.tail)
  }
}

function checkAnswer({ status, head, body, isWhole }: Answer, ask: Ask): void {
  if (status === 101) {
    expect(UPGRADES).toContain(ask.kind)
    const said = body.includes(GOING_AWAY) ? body.subarray(0, -GOING_AWAY.length) : body
    expect(Buffer.compare(said, ask.tail.subarray(0, said.length))).toBe(0)
    return
  }
  const named = /\r\nx-id: (\d+)\r\n/i.exec(head)?.[1]
  if (named === undefined) {
    expect(OWN_STATUSES).toContain(status)
    return
  }
  expect([Number(named), status, ask.isBroken]).toEqual([ask.id, 200, false])
  expect(Buffer.compare(body, ask.expected.subarray(0, body.length)), `${ask.text.slice(0, 60)}`).toBe(0)
  if (isWhole) expect(`${ask.kind} ${body.length}`).toBe(`${ask.kind} ${ask.expected.length}`)
}
