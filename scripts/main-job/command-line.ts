/** The command line of the main job, checked before anything is started. */
import { parseArgs } from 'node:util'
import { Transfer } from 'sockmux'
import { loopNames, plugOf } from './loop-choice.ts'

export interface CommandLine {
  readonly urls: readonly string[]
  readonly transfers: number
  readonly connections: number
  /** Those that were asked for; empty: every loop, and one that is missing is no failure. */
  readonly loops: readonly string[]
  readonly json: boolean
  readonly help: boolean
}

const TRANSFERS = 2000
const TRANSFERS_MAX = 200_000
const CONNECTIONS = 64
const CONNECTIONS_MAX = 10_000

const OPTIONS = {
  transfers: { type: 'string' },
  connections: { type: 'string' },
  loop: { type: 'string', multiple: true },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

export const HELP: string = `usage: npm start -- [options] [URL…]

Without URLs: starts a local origin in a process of its own, and fetches bodies of 0 B to 3 MB from it, with and
without a Content-Length, in each loop that this machine has, one after the other; checks them and prints a table.
With URLs: fetches those, and prints a line for each as it ends: status, bytes, time, URL and what went wrong.

  --transfers N     how many from the local origin; default ${TRANSFERS}
  --connections N   at most this many connections at a time; default ${CONNECTIONS}
  --loop NAME       ${loopNames.join(', ')}; may be repeated; default: all, with URLs node
  --json            one JSON document instead of text
  --help            this text

Ends with status 1 when a transfer failed, a body was wrong, or a loop that was named is missing; 130 after Ctrl-C.`

/** Throws an Error of one line. */
export function readCommandLine(parameters: readonly string[]): CommandLine {
  const { values, positionals } = parse(parameters)
  for (const url of positionals) checkUrl(url)
  const loops = [...new Set(values.loop)]
  loops.forEach(plugOf)
  if (positionals.length > 0 && values.transfers !== undefined) {
    throw new Error('--transfers is for the local origin; with URLs each is fetched once')
  }
  return {
    urls: positionals,
    transfers: count('transfers', values.transfers, TRANSFERS, TRANSFERS_MAX),
    connections: count('connections', values.connections, CONNECTIONS, CONNECTIONS_MAX),
    loops,
    json: values.json === true,
    help: values.help === true,
  }
}

type Parsed = ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>

function parse(parameters: readonly string[]): Parsed {
  try {
    return parseArgs({ args: [...parameters], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    // The rest is advice about dashes.
    throw new Error((error as Error).message.split(/\.\s/)[0])
  }
}

function checkUrl(url: string): void {
  try {
    new Transfer({ url })
  } catch (error) {
    throw new Error((error as Error).message.replace(/^option url:?/, 'bad URL'))
  }
}

function count(option: string, text: string | undefined, usual: number, most: number): number {
  if (text === undefined) return usual
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value
  throw new Error(`--${option} must be a whole number from 1 to ${most}, not '${text}'`)
}
