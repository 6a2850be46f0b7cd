/** The table of commands, and what belongs to no command: `--help`, `--version`, and errors as one line each. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Command, ExitStatus, UsageError } from './command.ts'
import { getCommand } from './get-command.ts'
import { serveCommand } from './serve-command.ts'
import { printable } from './text.ts'

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['get', getCommand],
  ['serve', serveCommand],
])

export async function runCommandLine(parameters: readonly string[]): Promise<number> {
  const [name = '', ...rest] = parameters
  if (name === '--version' || name === '-V') return print(version())
  if (name === '--help' || name === '-h') return print(overview())
  const command = COMMANDS.get(name)
  if (command === undefined) return refuse('', name === '' ? 'a command is missing' : `there is no command '${name}'`)
  if (wantsHelp(rest)) return print(command.help)
  try {
    return await command.run(rest)
  } catch (error) {
    if (error instanceof UsageError) return refuse(name, error.message)
    process.stderr.write(`sockmux: ${printable((error as Error).message)}\n`)
    return ExitStatus.FAILED
  }
}

/** Whatever else is wrong; but not behind '--', where everything is a URL. */
function wantsHelp(parameters: readonly string[]): boolean {
  const end = parameters.indexOf('--')
  const options = end < 0 ? parameters : parameters.slice(0, end)
  return options.includes('--help') || options.includes('-h')
}

function print(text: string): number {
  process.stdout.write(`${text}\n`)
  return ExitStatus.OK
}

function refuse(command: string, message: string): number {
  const program = command === '' ? 'sockmux' : `sockmux ${command}`
  process.stderr.write(`${program}: ${printable(message)}; see ${program} --help\n`)
  return ExitStatus.USAGE
}

function overview(): string {
  const width = Math.max(...[...COMMANDS.keys()].map((name) => name.length))
  const lines = [...COMMANDS].map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  return `usage: sockmux COMMAND [options]

${lines.join('\n')}

sockmux COMMAND --help says what it can do, sockmux --version which version this is.`
}

/** From the package.json that this file belongs to, as source or compiled. */
function version(): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory)
  const manifest: { version: string } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
  return manifest.version
}
