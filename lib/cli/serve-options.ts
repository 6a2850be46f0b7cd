/** The command line of `sockmux serve`, checked before anything is opened. */
import { realpathSync, statSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { HttpServer, kernel, type ListenOptions, listenFds, Multi, type ServerTlsOptions } from '../index.ts'
import { LOG_FORMATS, type LogFormat } from './access-log.ts'
import { UsageError } from './command.ts'
import { DEFAULT_HOST, DEFAULT_PORT, GRACE_SECONDS } from './serve-help.ts'
import type { ServeSettings } from './serve-settings.ts'
import { wholeNumber } from './whole-number.ts'

const OPTIONS = {
  'no-listing': { type: 'boolean' },
  all: { type: 'boolean', short: 'a' },
  follow: { type: 'boolean' },
  host: { type: 'string', short: 'H' },
  port: { type: 'string', short: 'p' },
  unix: { type: 'string' },
  'tls-certificate': { type: 'string' },
  'tls-key': { type: 'string' },
  'max-connections': { type: 'string' },
  threads: { type: 'string' },
  grace: { type: 'string' },
  log: { type: 'string' },
  quiet: { type: 'boolean', short: 'q' },
  help: { type: 'boolean', short: 'h' },
} as const

/** Options of HttpServer that a user knows by another name. */
const OPTION_NAMES: Readonly<Record<string, string>> = {
  path: 'unix',
  'tls.certificateFile': 'tls-certificate',
  'tls.certificateKeyFile': 'tls-key',
  'tls.certificateKey': 'tls-key',
}
const PORT_LIMIT = 65_535
const CONNECTIONS_LIMIT = 1_000_000
const CONNECTIONS_DEFAULT_MOST = 16_384
/** What a process has open besides. */
const RESERVED_DESCRIPTORS = 64
const THREADS_LIMIT = 256
const SECONDS_LIMIT = 2_000_000

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>['values']

/** Throws UsageError. Takes over what a service manager passed. */
export function readServeOptions(parameters: readonly string[]): ServeSettings {
  const { values, positionals } = parse(parameters)
  if (positionals.length > 1) throw new UsageError(`one directory is served, but ${positionals.length} are given`)
  const settings: ServeSettings = {
    root: directory(positionals[0] ?? '.'),
    listing: !values['no-listing'],
    all: values.all ?? false,
    follow: values.follow ?? false,
    listen: listenOptions(values),
    tls: tlsOptions(values),
    maxConnections:
      wholeNumber('max-connections', values['max-connections'], 1, CONNECTIONS_LIMIT) ?? defaultConnections(),
    threads: wholeNumber('threads', values['threads'], 1, THREADS_LIMIT) ?? 1,
    graceMs: milliseconds(values.grace) ?? GRACE_SECONDS * 1000,
    log: logFormat(values.log),
    quiet: values.quiet ?? false,
  }
  checkServerOptions(settings)
  return settings
}

function parse(parameters: readonly string[]): { values: Values; positionals: string[] } {
  try {
    return parseArgs({ args: [...parameters], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    // The rest is advice about dashes.
    const [message] = (error as Error).message.split(/\.\s/)
    throw new UsageError((message as string).replace(/^[A-Z]/, (letter) => letter.toLowerCase()))
  }
}

function directory(given: string): string {
  let path: string
  try {
    path = realpathSync.native(given)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new UsageError(`there is no directory '${given}'`)
    throw new UsageError(`the directory '${given}' cannot be used: ${(error as Error).message}`)
  }
  if (!statSync(path).isDirectory()) throw new UsageError(`'${given}' is no directory`)
  return path
}

/** Passed ones first: whoever starts a service says where it listens. */
function listenOptions(values: Values): ListenOptions[] {
  const port = wholeNumber('port', values['port'], 0, PORT_LIMIT)
  const { host, unix } = values
  const passed = listenFds().filter(({ family }) => family !== null)
  const own = ['host', 'port', 'unix'].find((name) => values[name as 'host' | 'port' | 'unix'] !== undefined)
  if (passed.length > 0) {
    if (own !== undefined) throw new UsageError(`--${own} does not go with sockets that were passed (LISTEN_FDS)`)
    return passed.map(({ fd, name, accepting }) => ({ fd, name, ...(accepting && { backlog: 0 }) }))
  }
  if (unix === undefined) return [{ host: host ?? DEFAULT_HOST, port: port ?? DEFAULT_PORT }]
  if (unix === '' || unix === '@') throw new UsageError('--unix is empty')
  const path: ListenOptions = unix.startsWith('@') ? { path: `\0${unix.slice(1)}` } : { path: unix, stale: 'replace' }
  const isBoth = host !== undefined || port !== undefined
  return isBoth ? [path, { host: host ?? DEFAULT_HOST, port: port ?? DEFAULT_PORT }] : [path]
}

function tlsOptions(values: Values): ServerTlsOptions | null {
  const { 'tls-certificate': certificateFile, 'tls-key': certificateKeyFile } = values
  if (certificateFile === undefined && certificateKeyFile === undefined) return null
  if (certificateFile === undefined) throw new UsageError('--tls-key needs --tls-certificate')
  if (certificateKeyFile === undefined) throw new UsageError('--tls-certificate needs --tls-key')
  return { certificateFile, certificateKeyFile }
}

/** Each may have a file open as well. */
function defaultConnections(): number {
  const most = Math.floor((kernel.descriptorLimit() - RESERVED_DESCRIPTORS) / 2)
  return Math.min(Math.max(most, 1), CONNECTIONS_DEFAULT_MOST)
}

function milliseconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^(\d+\.?\d*|\.\d+)$/.test(text) && value <= SECONDS_LIMIT) return Math.ceil(value * 1000)
  throw new UsageError(`--grace must be a number of seconds, not '${text}'`)
}

function logFormat(text = 'combined'): LogFormat {
  const format = LOG_FORMATS.find((name) => name === text)
  if (format === undefined) throw new UsageError(`--log must be one of ${LOG_FORMATS.join(', ')}, not '${text}'`)
  return format
}

/** The checks are HttpServer's own, files of keys included; only the names of the options are others here. */
function checkServerOptions({ listen, tls }: ServeSettings): void {
  const multi = new Multi()
  try {
    new HttpServer(multi, { listen, tls, handler: () => ({}) })
  } catch (error) {
    const message = (error as Error).message.replace(
      /^option ([\w.]*\w)/,
      (_, name: string) => `--${OPTION_NAMES[name] ?? name}`,
    )
    throw new UsageError(message)
  } finally {
    multi.close()
  }
}
