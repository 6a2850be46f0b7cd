/**
 * One long transfer at a time, down and up, with and without TLS, beside the `curl` command, from one nginx: throughput
 * as each tells it itself, processor time of the client, and how steady the memory of ours stays.
 */
import { join } from 'node:path'
import { packageRoot } from '../../scripts/prebuild.ts'
import { alternate, ratios, runCommand, type Spread, spread } from '../measure.ts'
import { type BenchServer, findNginx, startNginx } from '../nginx.ts'
import { describeMachine, resultsFile, table, writeResults } from '../report.ts'
import { showStatus } from '../status-line.ts'
import { countOption, type Trial, UsageError } from '../trial.ts'

interface Shape {
  readonly direction: 'down' | 'up'
  readonly secure: boolean
}

interface Measured {
  readonly description: string
  readonly seconds: number
  readonly cpuSeconds: number
  /** Of the process, while the bytes went by; none of curl. */
  readonly memory: readonly number[]
}

interface Result extends Shape {
  readonly curl: readonly Measured[]
  readonly sockmux: readonly Measured[]
  /** Of throughput: more than 1 is faster than curl in the same turn. */
  readonly throughput: Spread
  readonly cpu: Spread
  readonly memory: Spread
}

const SHAPES: readonly Shape[] = [
  { direction: 'down', secure: false },
  { direction: 'up', secure: false },
  { direction: 'down', secure: true },
  { direction: 'up', secure: true },
]
const MEGABYTE = 1e6
const PROCESS_MS_MAX = 300_000
/** Memory counts from there on: before, the process is still growing up. */
const SETTLED_PART = 0.1

export const bulk: Trial = {
  name: 'bulk',
  summary: 'a long download and upload, with and without TLS, beside the curl command',
  options: [
    { name: 'megabytes', value: 'N', help: 'of a transfer (1000)' },
    { name: 'rounds', value: 'N', help: 'turns that each subject takes, a process each (5)' },
    { name: 'json', value: 'FILE', help: 'where the results go (bench/results/bulk.json)' },
  ],
  async run(values, print) {
    const megabytes = countOption(values, 'megabytes', 1000)
    const rounds = countOption(values, 'rounds', 5)
    const json = values['json'] ?? resultsFile('bulk')
    const path = findNginx()
    if (path === null) throw new UsageError('nginx is not installed (apt-get install nginx)')
    const machine = describeMachine()
    print(`${machine.cpu}, ${machine.system}, Node ${machine.node}; ${megabytes} MB, ${rounds} turns`)
    const server = await startNginx(path, megabytes * MEGABYTE)
    try {
      const results = SHAPES.map((shape) => measureShape(server, shape, rounds, megabytes))
      for (const line of describeResults(results, megabytes)) print(line)
      writeResults(json, { trial: 'bulk', machine, megabytes, rounds, results })
      print(`\nresults are in ${json}`)
    } finally {
      server.stop()
    }
  },
}

function measureShape(server: BenchServer, shape: Shape, rounds: number, megabytes: number): Result {
  const launches = [() => runCurl(server, shape, megabytes), () => runOurs(server, shape, megabytes)]
  const measured: Measured[][] = launches.map(() => [])
  // The first to write so much pays for memory that nobody has used before.
  runCurl(server, shape, megabytes)
  alternate([0, 1], rounds, (index) => {
    showStatus(`${shape.secure ? 'https' : 'http'} ${shape.direction}: turn ${(measured[index]?.length ?? 0) + 1}`)
    const one = (launches[index] as () => Measured)()
    measured[index]?.push(one)
    return one.seconds
  })
  showStatus('')
  const [curl = [], sockmux = []] = measured
  const secondsOf = (list: readonly Measured[]): number[] => list.map(({ seconds }) => seconds)
  const cpuOf = (list: readonly Measured[]): number[] => list.map(({ cpuSeconds }) => cpuSeconds)
  const settled = sockmux.flatMap(({ memory }) => memory.slice(Math.floor(memory.length * SETTLED_PART)))
  return {
    ...shape,
    curl,
    sockmux,
    throughput: ratios(secondsOf(curl), secondsOf(sockmux)),
    cpu: ratios(cpuOf(sockmux), cpuOf(curl)),
    memory: spread(settled),
  }
}

function urlOf(server: BenchServer, { direction, secure }: Shape): string {
  return `${secure ? server.https : server.http}${direction === 'down' ? '/big' : '/put/big'}`
}

function runCurl(server: BenchServer, shape: Shape, megabytes: number): Measured {
  const way = shape.direction === 'down' ? ['-o', '/dev/null'] : ['-T', server.file]
  const told = '%{stderr}%{time_total} %{size_download} %{size_upload} %{http_code}\\n'
  const curl = ['curl', '-sS', '--cacert', server.ca, ...way, '-w', told, urlOf(server, shape)]
  // The shell's own clock of processor time: user and system, behind what curl says.
  const script = 'TIMEFORMAT="%U %S"; time "$@" 2>&1'
  const command = ['bash', '-c', `{ ${script}; } 2>&1`, 'bash', ...curl]
  const [said = '', times = ''] = runCommand(command, PROCESS_MS_MAX).trim().split('\n')
  const [seconds = 0, down = 0, up = 0] = said.split(' ').map(Number)
  checkSize('curl', Math.max(down, up), megabytes)
  const cpuSeconds = times
    .split(' ')
    .map(Number)
    .reduce((sum, part) => sum + part, 0)
  return { description: 'curl', seconds, cpuSeconds, memory: [] }
}

function runOurs(server: BenchServer, shape: Shape, megabytes: number): Measured {
  const script = join(packageRoot(), 'dist', 'bench', 'subjects', 'bulk.js')
  const parameters = [shape.direction, urlOf(server, shape), server.ca, server.file]
  const answer: Measured & { error: string; bytes: number } = JSON.parse(
    runCommand([process.execPath, script, ...parameters], PROCESS_MS_MAX),
  )
  if (answer.error !== '') throw new Error(`sockmux: ${answer.error}`)
  checkSize('sockmux', answer.bytes, megabytes)
  return answer
}

function checkSize(who: string, bytes: number, megabytes: number): void {
  if (bytes !== megabytes * MEGABYTE) throw new Error(`${who} moved ${bytes} bytes instead of ${megabytes} MB`)
}

function describeResults(results: readonly Result[], megabytes: number): string[] {
  const columns = ['', 'curl MB/s', 'ours MB/s', '× min', '× median', '× max', 'CPU ×', 'memory MB']
  const rows = results.map(({ direction, secure, curl, sockmux, throughput, cpu, memory }) => {
    const rate = (list: readonly Measured[]): string =>
      (megabytes / spread(list.map((one) => one.seconds)).median).toFixed(0)
    const { min, median, max } = throughput
    return [
      `${secure ? 'https' : 'http'} ${direction}`,
      rate(curl),
      rate(sockmux),
      ...[min, median, max, cpu.median].map((value) => value.toFixed(2)),
      `${(memory.min / MEGABYTE).toFixed(0)}–${(memory.max / MEGABYTE).toFixed(0)}`,
    ]
  })
  return ['', 'throughput, × curl in the same turn; processor time × curl', ...table([columns, ...rows])]
}
