/**
 * TLS connections per second, begun anew and from sessions, beside C libcurl's multi interface: many GETs of nothing,
 * some at a time, each on a connection of its own to one nginx. How many sessions were resumed is counted.
 */
import { join } from 'node:path'
import { packageRoot } from '../../scripts/prebuild.ts'
import { alternate, ratios, runCommand, type Spread, spread } from '../measure.ts'
import { type BenchServer, findNginx, startNginx } from '../nginx.ts'
import { compilePeer, type PeerSource } from '../peers.ts'
import { describeMachine, resultsFile, table, writeResults } from '../report.ts'
import { showStatus } from '../status-line.ts'
import { countOption, type Trial, UsageError } from '../trial.ts'

interface Measured {
  readonly description: string
  readonly seconds: number
  readonly cpuSeconds: number
  readonly resumed: number
  readonly failed: number
}

interface Contender {
  readonly name: string
  readonly command: readonly string[]
}

interface Row {
  readonly subject: string
  readonly resuming: boolean
  readonly measured: readonly Measured[]
  /** Connections per second. */
  readonly rate: Spread
  readonly cpuMicroseconds: Spread
  /** Within a turn; null without libcurl. */
  readonly timesLibcurl: Spread | null
  readonly cpuTimesLibcurl: Spread | null
}

const LIBCURL = 'libcurl'
const LIBCURL_PEER: PeerSource = {
  name: 'handshakes-libcurl',
  header: 'curl/curl.h',
  debianPackage: 'libcurl4-openssl-dev',
  libraries: ['curl'],
}
const FILE_BYTES = 1
const PROCESS_MS_MAX = 300_000

export const handshakes: Trial = {
  name: 'handshakes',
  summary: 'TLS connections per second, full and resumed, beside C libcurl',
  options: [
    { name: 'connections', value: 'N', help: 'of a process (3000)' },
    { name: 'parallel', value: 'N', help: 'at a time (1000)' },
    { name: 'rounds', value: 'N', help: 'turns that each subject takes, a process each (5)' },
    { name: 'json', value: 'FILE', help: 'where the results go (bench/results/handshakes.json)' },
  ],
  async run(values, print) {
    const connections = countOption(values, 'connections', 3000)
    const parallel = countOption(values, 'parallel', Math.min(1000, connections))
    const rounds = countOption(values, 'rounds', 5)
    const json = values['json'] ?? resultsFile('handshakes')
    const path = findNginx()
    if (path === null) throw new UsageError('nginx is not installed (apt-get install nginx)')
    const { contenders, missing } = findContenders()
    for (const reason of missing) print(`left out: ${reason}`)
    const machine = describeMachine()
    print(`${machine.cpu}, ${machine.system}, Node ${machine.node}`)
    const server = await startNginx(path, FILE_BYTES)
    try {
      const measure = (resuming: boolean): Row[] =>
        measureRows(server, contenders, resuming, rounds, [String(connections), String(parallel)])
      const rows = [...measure(false), ...measure(true)]
      print(`\n${connections} connections, ${parallel} at a time, TLS 1.3; × ${LIBCURL} in the same turn`)
      for (const line of describeRows(rows)) print(line)
      writeResults(json, { trial: 'handshakes', machine, connections, parallel, rounds, missing, rows })
      print(`\nresults are in ${json}`)
    } finally {
      server.stop()
    }
  },
}

function findContenders(): { contenders: Contender[]; missing: string[] } {
  const script = join(packageRoot(), 'dist', 'bench', 'subjects', 'handshakes.js')
  const contenders: Contender[] = [{ name: 'sockmux', command: [process.execPath, script] }]
  const peer = compilePeer(LIBCURL_PEER)
  if ('missing' in peer) return { contenders, missing: [`${LIBCURL}: ${peer.missing}`] }
  return { contenders: [{ name: LIBCURL, command: [peer.path] }, ...contenders], missing: [] }
}

function measureRows(
  server: BenchServer,
  contenders: readonly Contender[],
  resuming: boolean,
  rounds: number,
  shape: readonly string[],
): Row[] {
  const parameters = [`${server.https}/empty`, server.ca, ...shape, resuming ? '1' : '0']
  const measured = new Map<string, Measured[]>(contenders.map(({ name }) => [name, []]))
  alternate(contenders, rounds, ({ name, command }) => {
    showStatus(`${resuming ? 'resumed' : 'full'}: ${name}`)
    const answer: Measured = JSON.parse(runCommand([...command, ...parameters], PROCESS_MS_MAX))
    if (answer.failed > 0) throw new Error(`${name}: ${answer.failed} transfers failed`)
    measured.get(name)?.push(answer)
    return answer.seconds
  })
  showStatus('')
  const connections = Number(shape[0])
  const reference = measured.get(LIBCURL)
  return contenders.map(({ name }) => {
    const own = measured.get(name) ?? []
    const rates = (list: readonly Measured[]): number[] => list.map(({ seconds }) => connections / seconds)
    const costs = (list: readonly Measured[]): number[] => list.map((one) => (one.cpuSeconds / connections) * 1e6)
    return {
      subject: name,
      resuming,
      measured: own,
      rate: spread(rates(own)),
      cpuMicroseconds: spread(costs(own)),
      timesLibcurl: reference === undefined ? null : ratios(rates(own), rates(reference)),
      cpuTimesLibcurl: reference === undefined ? null : ratios(costs(own), costs(reference)),
    }
  })
}

function describeRows(rows: readonly Row[]): string[] {
  const columns = ['', 'per second', '× min', '× median', '× max', 'CPU µs', 'CPU ×', 'resumed']
  const cells = rows.map(({ subject, resuming, measured, rate, cpuMicroseconds, timesLibcurl, cpuTimesLibcurl }) => [
    `${resuming ? 'resumed' : 'full'} ${subject}`,
    rate.median.toFixed(0),
    ...[timesLibcurl?.min, timesLibcurl?.median, timesLibcurl?.max].map((value) => value?.toFixed(2) ?? '-'),
    cpuMicroseconds.median.toFixed(0),
    cpuTimesLibcurl?.median.toFixed(2) ?? '-',
    spread(measured.map(({ resumed }) => resumed)).median.toFixed(0),
  ])
  return table([columns, ...cells])
}
