/** The command line of `sockmux get`, checked before anything is opened; what it names is read here. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Transfer, type TransferOptions } from '../index.ts'
import { UsageError } from './command.ts'
import { MAX_CONNECTIONS, MAX_HOST_CONNECTIONS, RETRY_DELAY_SECONDS } from './get-help.ts'
import type { GetSettings } from './get-settings.ts'
import { wholeNumber } from './whole-number.ts'

const OPTIONS = {
  'output-dir': { type: 'string', short: 'P' },
  output: { type: 'string', short: 'o' },
  continue: { type: 'boolean', short: 'c' },
  force: { type: 'boolean', short: 'f' },
  'input-file': { type: 'string', short: 'i' },
  'max-connections': { type: 'string', short: 'j' },
  'max-host-connections': { type: 'string' },
  'limit-rate': { type: 'string' },
  'max-time': { type: 'string', short: 'm' },
  'connect-timeout': { type: 'string' },
  retry: { type: 'string' },
  'retry-delay': { type: 'string' },
  method: { type: 'string', short: 'X' },
  data: { type: 'string', short: 'd' },
  header: { type: 'string', short: 'H', multiple: true },
  user: { type: 'string', short: 'u' },
  location: { type: 'boolean', short: 'L' },
  compressed: { type: 'boolean' },
  fail: { type: 'boolean' },
  'no-fail': { type: 'boolean' },
  proxy: { type: 'string', short: 'x' },
  cacert: { type: 'string' },
  insecure: { type: 'boolean', short: 'k' },
  json: { type: 'boolean' },
  verbose: { type: 'boolean', short: 'v' },
  quiet: { type: 'boolean', short: 'q' },
  help: { type: 'boolean', short: 'h' },
} as const

/** Options of Transfer that a user knows by another name. */
const OPTION_NAMES: Readonly<Record<string, string>> = {
  caFile: 'cacert',
  headers: 'header',
  maxRecvSpeed: 'limit-rate',
  maxSendSpeed: 'limit-rate',
  timeoutMs: 'max-time',
  connectTimeoutMs: 'connect-timeout',
  username: 'user',
  password: 'user',
  body: 'data',
}
const CONNECTIONS_LIMIT = 10_000
const RETRIES_LIMIT = 1000
const SECONDS_LIMIT = 2_000_000
const RATE_LIMIT = 1e15
const RATE_UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 }
/** A URL that is fine, to check the other options with. */
const EXAMPLE_URL = 'http://localhost/'

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>['values']

/** Throws UsageError. */
export async function readGetOptions(parameters: readonly string[]): Promise<GetSettings> {
  const { values, positionals } = parse(parameters)
  refuseContradictions(values)
  const numbers = readNumbers(values)
  const urls = [...positionals, ...(await listedUrls(values['input-file']))]
  if (urls.length === 0) throw new UsageError('no URL is given')
  if (values.output !== undefined && urls.length > 1) {
    throw new UsageError(`--output names one file, but there are ${urls.length} URLs`)
  }
  const transfer = await transferOptions(values)
  const hasRange = Object.keys(transfer.headers ?? {}).some((name) => name.toLowerCase() === 'range')
  if (values.continue && hasRange) throw new UsageError('--continue and --header Range do not go together')
  checkTransferOptions(transfer)
  return {
    urls,
    output: values.output ?? null,
    outputDirectory: values['output-dir'] ?? '.',
    resume: values.continue ?? false,
    force: values.force ?? false,
    ...numbers,
    json: values.json ?? false,
    verbose: values.verbose ?? false,
    quiet: values.quiet ?? false,
    transfer,
  }
}

function parse(parameters: readonly string[]): { values: Values; positionals: string[] } {
  try {
    return parseArgs({ args: [...parameters], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    // The rest is advice about dashes.
    throw new UsageError(
      ((error as Error).message.split(/\.\s/)[0] as string).replace(/^[A-Z]/, (c) => c.toLowerCase()),
    )
  }
}

function refuseContradictions(values: Values): void {
  const refuse = (one: string, other: string): never => {
    throw new UsageError(`${one} and ${other} do not go together`)
  }
  if (values.output === '') throw new UsageError('--output is empty')
  if (values['output-dir'] === '') throw new UsageError('--output-dir is empty')
  if (values.output === '-' && values.json) refuse('--output -', '--json')
  if (values.output === '-' && values.continue) refuse('--output -', '--continue')
  if (values.continue && values.compressed) refuse('--continue', '--compressed')
  if (values.continue && values.data !== undefined) refuse('--continue', '--data')
  if (values.continue && (values.method ?? 'GET') !== 'GET') refuse('--continue', `--method ${values.method}`)
  if (values.verbose && values.quiet) refuse('--verbose', '--quiet')
  if (values.fail && values['no-fail']) refuse('--fail', '--no-fail')
  if (values.insecure && values.cacert !== undefined) refuse('--insecure', '--cacert')
  if (values['input-file'] === '-' && values.data === '@-') refuse('--input-file -', '--data @-')
}

function readNumbers(
  values: Values,
): Pick<GetSettings, 'maxConnections' | 'maxHostConnections' | 'retries' | 'retryDelayMs'> {
  const maxConnections =
    wholeNumber('max-connections', values['max-connections'], 1, CONNECTIONS_LIMIT) ?? MAX_CONNECTIONS
  const maxHostConnections =
    wholeNumber('max-host-connections', values['max-host-connections'], 1, CONNECTIONS_LIMIT) ?? MAX_HOST_CONNECTIONS
  return {
    maxConnections,
    maxHostConnections,
    retries: wholeNumber('retry', values['retry'], 0, RETRIES_LIMIT) ?? 0,
    retryDelayMs: milliseconds('retry-delay', values) ?? RETRY_DELAY_SECONDS * 1000,
  }
}

function milliseconds(option: 'max-time' | 'connect-timeout' | 'retry-delay', values: Values): number | undefined {
  const text = values[option]
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^(\d+\.?\d*|\.\d+)$/.test(text) && value <= SECONDS_LIMIT) return Math.ceil(value * 1000)
  throw new UsageError(`--${option} must be a number of seconds, not '${text}'`)
}

function rate(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const match = /^(\d+\.?\d*|\.\d+)([kmg]?)$/i.exec(text)
  const unit = RATE_UNITS[match?.[2]?.toLowerCase() ?? '']
  const value = match === null || unit === undefined ? 0 : Math.round(Number(match[1]) * unit)
  if (value >= 1 && value <= RATE_LIMIT) return value
  throw new UsageError(`--limit-rate must be bytes per second as 50000, 500k or 1.5m, not '${text}'`)
}

async function listedUrls(file: string | undefined): Promise<string[]> {
  if (file === undefined) return []
  const lines = (await readInput('input-file', file)).toString('utf8').split(/\r\n|\r|\n/)
  return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
}

/** '-' is stdin. */
async function readInput(option: string, file: string): Promise<Buffer> {
  try {
    if (file !== '-') return readFileSync(file)
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  } catch (error) {
    throw new UsageError(`--${option}: ${(error as Error).message}`)
  }
}

async function transferOptions(values: Values): Promise<Omit<TransferOptions, 'url'>> {
  const options: Omit<TransferOptions, 'url'> = {
    defaultProtocol: 'http',
    followRedirects: values.location ?? false,
    failOnError: !values['no-fail'],
    proxyEnvironment: process.env,
  }
  const headers = (values.header ?? []).map(headerPair)
  if (values.data !== undefined) {
    const { data } = values
    options.body = data.startsWith('@') ? await readInput('data', data.slice(1)) : data
    const isTyped = headers.some(([name]) => name.toLowerCase() === 'content-type')
    if (!isTyped) headers.push(['Content-Type', 'application/x-www-form-urlencoded'])
  }
  options.headers = fieldsOf(headers)
  const limit = rate(values['limit-rate'])
  if (limit !== undefined) Object.assign(options, { maxRecvSpeed: limit, maxSendSpeed: limit })
  const timeoutMs = milliseconds('max-time', values)
  if (timeoutMs !== undefined) options.timeoutMs = timeoutMs
  const connectTimeoutMs = milliseconds('connect-timeout', values)
  if (connectTimeoutMs !== undefined) options.connectTimeoutMs = connectTimeoutMs
  if (values.method !== undefined) options.method = values.method
  if (values.user !== undefined) Object.assign(options, credentials(values.user))
  if (values.compressed) options.acceptEncoding = ''
  if (values.proxy !== undefined) options.proxy = values.proxy
  if (values.insecure) return { ...options, verifyPeer: false, verifyHost: false }
  return values.cacert === undefined ? options : { ...options, caFile: values.cacert }
}

/** 'Name: value'; 'Name:' leaves an automatic field out, 'Name;' sends an empty one. */
function headerPair(text: string): [name: string, value: string | null] {
  const empty = /^([^:;]+);$/.exec(text)
  if (empty !== null) return [empty[1] as string, '']
  const colon = text.indexOf(':')
  if (colon <= 0) throw new UsageError(`--header must be 'NAME: VALUE', not '${text}'`)
  const value = text.slice(colon + 1).trim()
  return [text.slice(0, colon), value === '' ? null : value]
}

/** A field that is given twice is sent twice. */
function fieldsOf(pairs: readonly (readonly [string, string | null])[]): Record<string, string | string[] | null> {
  const fields: Record<string, string | string[] | null> = {}
  for (const [name, value] of pairs) {
    const known = Object.keys(fields).find((other) => other.toLowerCase() === name.toLowerCase()) ?? name
    const before = fields[known]
    fields[known] = value === null || !before ? value : [before, value].flat()
  }
  return fields
}

function credentials(text: string): { username: string; password: string } {
  const colon = text.indexOf(':')
  return { username: colon < 0 ? text : text.slice(0, colon), password: colon < 0 ? '' : text.slice(colon + 1) }
}

/** The checks are Transfer's own; only the names of the options are others here. */
function checkTransferOptions(options: Omit<TransferOptions, 'url'>): void {
  try {
    new Transfer({ ...options, url: EXAMPLE_URL })
  } catch (error) {
    const message = (error as Error).message.replace(/^option (\w+)/, (_, name) => `--${OPTION_NAMES[name] ?? name}`)
    throw new UsageError(message)
  }
}
