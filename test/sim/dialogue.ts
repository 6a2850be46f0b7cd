/**
 * What both scripted origins answer where one request leads to another, by path:
 *   /redirect/TIMES/PATH   302 that many times, then PATH
 *   /lead?status=&to=&size=&close=   that status, Location and body length; `close` ends the connection
 *   /guarded/SCHEME   401 until it is proven that user 'Mufasa' of password 'Circle of Life', or token 'tok.en', asks
 *   /set?cookie=&cookie=   sets cookies, and shows;   /show   the request as JSON
 */
import { createHash } from 'node:crypto'
import { serveContent } from './content.ts'
import type { OriginRequest } from './request-parser.ts'

export interface DialogueAnswer {
  readonly status: number
  readonly fields: readonly string[]
  readonly body: Uint8Array
  readonly closes: boolean
}

export interface ShownRequest {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export const USERNAME = 'Mufasa'
export const PASSWORD = 'Circle of Life'
export const TOKEN = 'tok.en'
const REALM = 'the "realm", quoted'
const QUOTED_REALM = '"the \\"realm\\", quoted"'

/** null: nothing of this. */
export function converse(request: OriginRequest): DialogueAnswer | null {
  const url = new URL(request.target, 'http://origin')
  const [, verb = '', first = ''] = url.pathname.split('/')
  switch (verb) {
    case 'redirect': {
      const rest = request.target.split('/').slice(3).join('/')
      const times = Number(first) || 0
      return answer(302, [`location: ${times > 1 ? `/redirect/${times - 1}` : ''}/${rest}`])
    }
    case 'lead':
      return lead(url.searchParams)
    case 'guarded':
      return isProven(first, request) ? show(request) : refuse(first, request)
    case 'set':
      return show(
        request,
        url.searchParams.getAll('cookie').map((cookie) => `set-cookie: ${cookie}`),
      )
    case 'show':
      return show(request)
    default:
      return serveContent(request)
  }
}

function answer(status: number, fields: readonly string[], body: Uint8Array = Buffer.alloc(0)): DialogueAnswer {
  return { status, fields, body, closes: false }
}

function show(request: OriginRequest, fields: readonly string[] = []): DialogueAnswer {
  const { method, target, headers, body } = request
  const shown: ShownRequest = {
    method,
    target,
    headers: Object.fromEntries(headers),
    body: Buffer.from(body).toString('latin1'),
  }
  return answer(200, fields, Buffer.from(JSON.stringify(shown)))
}

function lead(parameters: URLSearchParams): DialogueAnswer {
  const closes = parameters.has('close')
  const fields = [`location: ${parameters.get('to')}`]
  const body = Buffer.alloc(Number(parameters.get('size') ?? 0), 'x')
  return { status: Number(parameters.get('status') ?? 302), fields, body, closes }
}

/** Which challenges a scheme stands for. */
const CHALLENGES: Readonly<Record<string, readonly string[]>> = {
  basic: [`Basic realm=${QUOTED_REALM}, charset="UTF-8"`],
  bearer: ['Bearer'],
  'digest-md5': [digestChallenge('first', 'MD5', 'auth,auth-int')],
  'digest-sha256': [digestChallenge('first', 'SHA-256', 'auth')],
  'digest-sess': [digestChallenge('first', 'SHA-256-sess', 'auth')],
  'digest-old': [`Digest realm=${QUOTED_REALM}, nonce="first"`],
  'digest-int': [digestChallenge('first', 'MD5', 'auth-int')],
  'digest-stale': [digestChallenge('first', 'MD5', 'auth')],
  any: [`Basic realm="x", ${digestChallenge('first', 'MD5', 'auth')}`, digestChallenge('first', 'SHA-256', 'auth')],
}

function digestChallenge(nonce: string, algorithm: string, qop: string, stale = false): string {
  const fields = [
    `realm=${QUOTED_REALM}`,
    `nonce="${nonce}"`,
    `qop="${qop}"`,
    `algorithm=${algorithm}`,
    'opaque="o,=1"',
  ]
  if (stale) fields.push('stale=TRUE')
  return `Digest ${fields.join(', ')}`
}

function refuse(scheme: string, request: OriginRequest): DialogueAnswer {
  const sent = request.headers.get('authorization') ?? ''
  const isStale = scheme === 'digest-stale' && sent.includes('nonce="first"')
  const challenges = isStale ? [digestChallenge('second', 'MD5', 'auth', true)] : (CHALLENGES[scheme] ?? [])
  return answer(
    401,
    challenges.map((challenge) => `www-authenticate: ${challenge}`),
    Buffer.from('who asks?'),
  )
}

function isProven(scheme: string, request: OriginRequest): boolean {
  const sent = request.headers.get('authorization') ?? ''
  if (scheme === 'basic') return sent === `Basic ${Buffer.from(`${USERNAME}:${PASSWORD}`).toString('base64')}`
  if (scheme === 'bearer') return sent === `Bearer ${TOKEN}`
  return sent.startsWith('Digest ') && isDigestProven(scheme, sent, request)
}

function isDigestProven(scheme: string, sent: string, { method, target }: OriginRequest): boolean {
  const fields = new Map<string, string>()
  for (const [, name = '', quoted, plain = ''] of sent.matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))/g)) {
    fields.set(name, quoted?.replace(/\\(.)/g, '$1') ?? plain)
  }
  const algorithm = fields.get('algorithm') ?? 'MD5'
  const hash = (text: string): string =>
    createHash(algorithm.startsWith('SHA-256') ? 'sha256' : 'md5')
      .update(text)
      .digest('hex')
  const nonce = scheme === 'digest-stale' ? 'second' : 'first'
  const expected: Record<string, string | undefined> = {
    'digest-sess': 'SHA-256-sess',
    'digest-sha256': 'SHA-256',
    any: 'SHA-256',
  }
  let key = hash(`${USERNAME}:${REALM}:${PASSWORD}`)
  if (algorithm.endsWith('-sess')) key = hash(`${key}:${nonce}:${fields.get('cnonce')}`)
  const hasQop = fields.get('qop') === 'auth'
  const middle = hasQop ? `:${fields.get('nc')}:${fields.get('cnonce')}:auth:` : ':'
  const response = hash(`${key}:${nonce}${middle}${hash(`${method}:${target}`)}`)
  return (
    hasQop === (scheme !== 'digest-old') &&
    algorithm === (expected[scheme] ?? 'MD5') &&
    fields.get('opaque') === (scheme === 'digest-old' ? undefined : 'o,=1') &&
    fields.get('username') === USERNAME &&
    fields.get('realm') === REALM &&
    fields.get('uri') === target &&
    fields.get('nonce') === nonce &&
    fields.get('response') === response
  )
}
