/**
 * Asks for names in a network where some are slow, dead or not there, and tells what became of each: through every loop
 * that it is given the name of, and by curl. Prints one JSON text.
 */
import { spawnSync } from 'node:child_process'
import { connect } from 'node:net'
import { attachToNodeLoop, Multi, runPollLoop, Transfer, type TransferOptions } from '../../lib/index.ts'

export interface Resolved {
  readonly name: string
  readonly code: string
  readonly number: number
  readonly message: string
  readonly cause: string
  readonly address: string
  readonly nameLookupMs: number
  readonly connectMs: number
}

export interface Report {
  readonly loops: Readonly<Record<string, readonly Resolved[]>>
  /** Exit statuses by name. */
  readonly curl: Readonly<Record<string, number>>
}

const READY_LIMIT_MS = 10_000
const RUN_LIMIT_MS = 20_000
/** Longer where the name is to be found before. */
const LIMITS_MS: Readonly<Record<string, number>> = { 'silent.test': 500, 'dead.test': 2500 }

const [nameServer = '', , port = '', namesText = ''] = process.argv.slice(2)
const names = namesText.split(',')

function accepts(host: string, at: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: at })
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
    setTimeout(() => socket.destroy(), 500).unref()
  })
}

async function untilReady(): Promise<void> {
  const end = performance.now() + READY_LIMIT_MS
  const peers: [string, number][] = [
    [nameServer, 53],
    ['127.0.0.1', Number(port)],
    ['::1', Number(port)],
  ]
  for (const [host, at] of peers) {
    while (!(await accepts(host, at))) {
      if (performance.now() > end) throw new Error(`${host} port ${at} did not get ready`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

function optionsFor(name: string): TransferOptions {
  const [host = '', family] = name.split('/')
  return {
    url: `http://${host}:${port}/`,
    data: name,
    ...(host in LIMITS_MS ? { connectTimeoutMs: LIMITS_MS[host] as number } : {}),
    ...(family === undefined ? {} : { ipVersion: family === '6' ? 6 : 4 }),
  }
}

async function resolveAll(drive: (multi: Multi) => Promise<void>): Promise<Resolved[]> {
  using multi = new Multi()
  const results: Resolved[] = []
  for (const name of names) multi.add(new Transfer(optionsFor(name)))
  // One that nobody waits for, and that must not be waited for at the end either.
  const given = new Transfer({ url: `http://given-up.silent.test:${port}/` })
  multi.add(given)
  multi.perform()
  multi.remove(given)
  await drive(multi)
  for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
    const { transfer, error } = message
    const { primaryAddress, nameLookupTime, connectTime } = transfer.info
    const cause = error?.cause as { readonly code?: string } | undefined
    results.push({
      name: String(transfer.data),
      code: error?.code ?? 'OK',
      number: error?.number ?? 0,
      message: error?.message ?? '',
      cause: cause?.code ?? '',
      address: primaryAddress,
      nameLookupMs: nameLookupTime / 1000,
      connectMs: connectTime / 1000,
    })
  }
  multi.add(new Transfer({ url: `http://last.silent.test:${port}/` }))
  multi.perform()
  return results
}

async function onNodeLoop(multi: Multi): Promise<void> {
  const attachment = attachToNodeLoop(multi)
  const end = performance.now() + RUN_LIMIT_MS
  while (multi.running > 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5))
  attachment.detach()
}

async function onPollLoop(multi: Multi): Promise<void> {
  const end = performance.now() + RUN_LIMIT_MS
  runPollLoop(multi, { maxWaitMs: 20, until: () => multi.running === 0 || performance.now() > end })
}

function byCurl(name: string): number {
  const [host = '', family] = name.split('/')
  const only = family === undefined ? [] : [`-${family}`]
  const limit = host in LIMITS_MS ? ['--connect-timeout', '0.5'] : []
  const args = ['-sS', '-o', '/dev/null', ...only, ...limit, `http://${host}:${port}/`]
  return spawnSync('curl', args, { timeout: RUN_LIMIT_MS }).status ?? -1
}

await untilReady()
const report: Report = {
  loops: { "Node's loop": await resolveAll(onNodeLoop), 'own poll loop': await resolveAll(onPollLoop) },
  curl: Object.fromEntries(names.map((name) => [name, byCurl(name)])),
}
process.stdout.write(JSON.stringify(report))
