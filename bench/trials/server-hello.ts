/**
 * What a request costs a server that says hello, beside libmicrohttpd, node:http and nginx: CPU time of its process as
 * the system accounts it, per request that wrk counted. Load and server have a core each.
 */
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { pinning, ratios, type Spread, spread } from '../measure.ts'
import { compilePeer, type PeerSource } from '../peers.ts'
import { describeMachine, resultsFile, table, writeResults } from '../report.ts'
import { ServerProcess } from '../server-process.ts'
import { findNginx, nginxCommand } from '../servers/nginx.ts'
import { showStatus } from '../status-line.ts'
import { countOption, type Trial } from '../trial.ts'
import { findWrk, runWrk } from '../wrk.ts'

const REFERENCE = 'libmicrohttpd'
const DEFAULT_CONNECTIONS = 64
const DEFAULT_SECONDS = 3
const DEFAULT_TURNS = 5
const WARMUP_SECONDS = 1

export const LIBMICROHTTPD_PEER: PeerSource = {
  name: 'server-libmicrohttpd',
  header: 'microhttpd.h',
  debianPackage: 'libmicrohttpd-dev',
  libraries: ['microhttpd'],
}

interface Contender {
  readonly name: string
  command(): Promise<string[]>
}

interface Turn {
  /** Of CPU per request. */
  readonly microseconds: number
  readonly perSecond: number
  readonly latency: number
  readonly failures: number
}

interface Figures {
  readonly server: string
  readonly turns: readonly Turn[]
  readonly cpu: Spread
  readonly timesReference: Spread | null
}

export const serverHello: Trial = {
  name: 'server-hello',
  summary: 'CPU per request of HttpServer beside libmicrohttpd, node:http and nginx',
  options: [
    { name: 'connections', value: 'N', help: `connections of wrk (${DEFAULT_CONNECTIONS})` },
    { name: 'pipelined', value: 'N', help: 'requests sent together (1)' },
    { name: 'seconds', value: 'N', help: `of load per turn (${DEFAULT_SECONDS})` },
    { name: 'rounds', value: 'N', help: `turns that each server takes, a process each (${DEFAULT_TURNS})` },
    { name: 'json', value: 'FILE', help: 'where the results go (bench/results/server-hello.json)' },
  ],
  async run(values, print) {
    const connections = countOption(values, 'connections', DEFAULT_CONNECTIONS)
    const pipelined = countOption(values, 'pipelined', 1)
    const seconds = countOption(values, 'seconds', DEFAULT_SECONDS)
    const turns = countOption(values, 'rounds', DEFAULT_TURNS)
    const noWrk = findWrk()
    if (noWrk !== null) throw new Error(noWrk)
    const { contenders, missing } = findContenders()
    for (const reason of missing) print(`left out: ${reason}`)
    const machine = describeMachine()
    const load = { connections, pipelined, seconds }
    const figures = await measureAll(contenders, load, turns)
    for (const line of describe(figures)) print(line)
    const json = values['json'] ?? resultsFile('server-hello')
    writeResults(json, { trial: 'server-hello', machine, ...load, turns, missing, figures })
    print(`\nresults are in ${json}`)
  },
}

function findContenders(): { contenders: Contender[]; missing: string[] } {
  const contenders: Contender[] = []
  const missing: string[] = []
  const script = (name: string): string => fileURLToPath(new URL(`../servers/${name}.js`, import.meta.url))
  const peer = compilePeer(LIBMICROHTTPD_PEER)
  if ('missing' in peer) missing.push(`${REFERENCE}: ${peer.missing}`)
  else contenders.push({ name: REFERENCE, command: async () => [peer.path] })
  for (const loop of ['own', 'node']) {
    contenders.push({
      name: `sockmux, ${loop === 'own' ? 'own loop' : "Node's loop"}`,
      command: async () => [process.execPath, script('sockmux'), loop],
    })
  }
  contenders.push({ name: 'node:http', command: async () => [process.execPath, script('node-http')] })
  const noNginx = findNginx()
  if (noNginx !== null) missing.push(`nginx: ${noNginx}`)
  else contenders.push({ name: 'nginx', command: nginxCommand })
  return { contenders, missing }
}

async function measureAll(
  contenders: readonly Contender[],
  load: { connections: number; pipelined: number; seconds: number },
  turns: number,
): Promise<Figures[]> {
  const all: Turn[][] = contenders.map(() => [])
  for (let turn = 0; turn < turns; turn++) {
    for (const [index, contender] of contenders.entries()) {
      showStatus(`round ${turn + 1} of ${turns}: ${contender.name}`)
      all[index]?.push(await measureOnce(contender, load))
    }
  }
  showStatus('')
  const reference = all[contenders.findIndex(({ name }) => name === REFERENCE)]?.map((turn) => turn.microseconds)
  return contenders.map(({ name }, index) => {
    const measured = all[index] as Turn[]
    const cpu = measured.map((turn) => turn.microseconds)
    return {
      server: name,
      turns: measured,
      cpu: spread(cpu),
      timesReference: reference === undefined ? null : ratios(cpu, reference),
    }
  })
}

async function measureOnce(
  contender: Contender,
  load: { connections: number; pipelined: number; seconds: number },
): Promise<Turn> {
  const pinned = pinning()
  const other = pinned.length === 0 || availableParallelism() < 2 ? [] : ['taskset', '--cpu-list', '0']
  const server = await ServerProcess.start([...pinned, ...(await contender.command())])
  try {
    const url = `http://127.0.0.1:${server.port}/`
    await runWrk({ ...load, url, seconds: WARMUP_SECONDS }, other)
    const before = server.cpuSeconds()
    const answer = await runWrk({ ...load, url }, other)
    const used = server.cpuSeconds() - before
    return {
      microseconds: (used * 1e6) / answer.requests,
      perSecond: answer.requests / answer.seconds,
      latency: answer.latency[99],
      failures: answer.failures,
    }
  } finally {
    await server.stop()
  }
}

function describe(figures: readonly Figures[]): string[] {
  const columns = ['CPU µs per request', 'min', 'median', 'max', '× min', '× median', '× max', 'per second', 'failures']
  const rows = figures.map(({ server, cpu, timesReference, turns }) => [
    server,
    ...[cpu.min, cpu.median, cpu.max].map((value) => value.toFixed(2)),
    ...[timesReference?.min, timesReference?.median, timesReference?.max].map((value) => value?.toFixed(2) ?? '-'),
    Math.max(...turns.map((turn) => turn.perSecond)).toFixed(0),
    String(turns.reduce((sum, turn) => sum + turn.failures, 0)),
  ])
  return ['', ...table([columns, ...rows])]
}
