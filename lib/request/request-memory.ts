/**
 * What was made of recent requests: a program asks for the same URLs with the same options again and again, and to
 * check those and to compose a head takes as long as the rest of a request. Kept only for options that are plain values
 * and read nothing from outside (no files, no environment); compared by value, so that an object may be changed and
 * given again.
 */
import type { PreparedRequest, RequestOptions } from './request-options.ts'

/** Of that many URLs. */
const REMEMBERED_MAX = 256

const PLAIN: ReadonlySet<string> = new Set<keyof RequestOptions>([
  'acceptEncoding',
  'bearerToken',
  'connectTimeoutMs',
  'cookie',
  'failOnError',
  'followRedirects',
  'forbidReuse',
  'freshConnect',
  'happyEyeballsDelayMs',
  'idleTimeoutMs',
  'ipVersion',
  'maxFileSize',
  'maxHeadBytes',
  'maxRedirects',
  'method',
  'password',
  'referer',
  'timeoutMs',
  'unixSocketPath',
  'userAgent',
  'username',
])

/** Names and values in turn. */
type Snapshot = readonly unknown[]

interface Remembered {
  readonly options: Snapshot
  readonly headers: Snapshot
  readonly prepared: PreparedRequest
}

const NONE = {}
const requests = new Map<string, Remembered>()

/** null when it has to be prepared. */
export function recall(url: string, options: RequestOptions): PreparedRequest | null {
  const remembered = requests.get(url)
  if (remembered === undefined) return null
  const { headers = NONE } = options
  if (!isPlain(options) || !isPlain(headers)) return null
  const isKnown = isSame(options, remembered.options, isOption) && isSame(headers, remembered.headers, isAnything)
  return isKnown ? remembered.prepared : null
}

export function remember(url: string, options: RequestOptions, prepared: PreparedRequest): void {
  const { headers = NONE } = options
  if (!isPlain(options) || !isPlain(headers)) return
  const values = snapshot(options, isOption)
  const fields = snapshot(headers, isAnything)
  for (let at = 0; at < values.length; at += 2) if (!PLAIN.has(values[at] as string)) return
  for (const value of [...values, ...fields]) if (Object(value) === value) return
  if (requests.size >= REMEMBERED_MAX) requests.clear()
  requests.set(url, { options: values, headers: fields, prepared })
}

/** All that is in it stands under names. To ask for the prototype is a call into the runtime. */
function isPlain(value: object): boolean {
  const kind: unknown = value.constructor
  return (kind === Object || kind === undefined) && !(Symbol.iterator in value)
}

/** Headers are compared by themselves; the others belong to the call, not to what is made of the options. */
function isOption(name: string): boolean {
  return name !== 'headers' && name !== 'signal' && name !== 'multi'
}

function isAnything(): boolean {
  return true
}

function snapshot(values: object, counts: (name: string) => boolean): Snapshot {
  return Object.entries(values)
    .filter(([name]) => counts(name))
    .flat()
}

function isSame(values: object, entries: Snapshot, counts: (name: string) => boolean): boolean {
  let at = 0
  for (const name in values) {
    if (!counts(name)) continue
    if (entries[at] !== name || entries[at + 1] !== (values as Record<string, unknown>)[name]) return false
    at += 2
  }
  return at === entries.length
}
