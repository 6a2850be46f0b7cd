/**
 * One long transfer at a time, down and up, with and without TLS, beside the `curl` command, from one nginx: throughput
 * as each tells it itself, processor time of the client, and how steady the memory of ours stays.
 */
import { spawnSync } from 'node:child_process'
import { type Cast, other, ours, sceneOf, scriptCommand } from '../contenders.ts'
import { pins, runCommand, runSubject } from '../measure.ts'
import { type Origin, startOrigin } from '../nginx.ts'
import { countOption, type Figures, type Trial } from '../trial.ts'

interface Shape {
  readonly direction: 'down' | 'up'
  readonly secure: boolean
}

interface OurAnswer {
  readonly error: string
  readonly bytes: number
  readonly seconds: number
  readonly cpuSeconds: number
  /** Of the process, while the bytes went by. */
  readonly memory: readonly number[]
}

const SHAPES: readonly Shape[] = [
  { direction: 'down', secure: false },
  { direction: 'up', secure: false },
  { direction: 'down', secure: true },
  { direction: 'up', secure: true },
]
const FILE = 'big'
const MEGABYTE = 1e6
const PROCESS_MS_MAX = 300_000
const PROBE_MS_MAX = 5000
/** Memory counts from there on: before, the process is still growing up. */
const SETTLED_PART = 0.1

export const bulk: Trial = {
  name: 'bulk',
  summary: 'a long download and upload, with and without TLS, beside the curl command',
  metrics: [
    { name: 'rate', title: 'throughput', unit: 'MB/s', digits: 0, better: 'more' },
    { name: 'cpu', title: 'CPU time', unit: 's', digits: 2, better: 'less' },
    { name: 'memoryMin', title: 'memory of the process, least', unit: 'MB', digits: 0, better: 'less' },
    { name: 'memoryMax', title: 'memory of the process, most', unit: 'MB', digits: 0, better: 'less' },
  ],
  references: ['curl'],
  sizes: '',
  rounds: 5,
  options: [{ name: 'megabytes', value: 'N', help: 'of a transfer', fallback: '1000' }],
  quick: { megabytes: '200', rounds: '2' },
  tiny: { megabytes: '2', rounds: '1' },
  async open(values) {
    const megabytes = countOption(values, 'megabytes')
    const origin = await startOrigin({ files: { [FILE]: megabytes * MEGABYTE }, secure: true })
    const hasCurl = spawnSync('curl', ['--version'], { timeout: PROBE_MS_MAX }).error === undefined
    const cast: Cast = { members: [ours('sockmux', scriptCommand('subjects/bulk'))], missing: [] }
    if (hasCurl) cast.members.unshift(other('curl', ['curl']))
    else cast.missing.push('curl: it is not installed (apt-get install curl)')
    const scenes = SHAPES.map((shape) =>
      sceneOf(`${shape.secure ? 'https' : 'http'} ${shape.direction}`, 0, cast, ({ isOurs, command }) =>
        isOurs ? runOurs(command, origin, shape, megabytes) : runCurl(command, origin, shape, megabytes),
      ),
    )
    return { scenes, missing: cast.missing, close: () => origin.stop() }
  },
}

function urlOf(origin: Origin, { direction, secure }: Shape): string {
  return `${secure ? origin.https : origin.http}${direction === 'down' ? `/${FILE}` : '/put/big'}`
}

function runCurl(program: readonly string[], origin: Origin, shape: Shape, megabytes: number): Figures {
  const way = shape.direction === 'down' ? ['-o', '/dev/null'] : ['-T', origin.fileOf(FILE)]
  const told = '%{stderr}%{time_total} %{size_download} %{size_upload} %{http_code}\\n'
  const curl = [...program, '-sS', '--cacert', origin.ca, ...way, '-w', told, urlOf(origin, shape)]
  // The shell's own clock of processor time: user and system, behind what curl says.
  const script = 'TIMEFORMAT="%U %S"; time "$@" 2>&1'
  const command = [...pins().subject, 'bash', '-c', `{ ${script}; } 2>&1`, 'bash', ...curl]
  const [said = '', times = ''] = runCommand(command, PROCESS_MS_MAX).trim().split('\n')
  const [seconds = 0, down = 0, up = 0] = said.split(' ').map(Number)
  checkSize('curl', Math.max(down, up), megabytes)
  const [user = 0, system = 0] = times.split(' ').map(Number)
  return { rate: megabytes / seconds, cpu: user + system }
}

function runOurs(program: readonly string[], origin: Origin, shape: Shape, megabytes: number): Figures {
  const parameters = [shape.direction, urlOf(origin, shape), origin.ca, origin.fileOf(FILE)]
  const answer = runSubject<OurAnswer>([...program, ...parameters])
  if (answer.error !== '') throw new Error(`sockmux: ${answer.error}`)
  checkSize('sockmux', answer.bytes, megabytes)
  const settled = answer.memory.slice(Math.floor(answer.memory.length * SETTLED_PART))
  return {
    rate: megabytes / answer.seconds,
    cpu: answer.cpuSeconds,
    memoryMin: Math.min(...settled) / MEGABYTE,
    memoryMax: Math.max(...settled) / MEGABYTE,
  }
}

function checkSize(who: string, bytes: number, megabytes: number): void {
  if (bytes !== megabytes * MEGABYTE) throw new Error(`${who} moved ${bytes} bytes instead of ${megabytes} MB`)
}
