/**
 * One HTTP client in a process of its own: `node client.js NAME URL total warmup parallel connections fresh` keeps
 * `parallel` GETs going on at most `connections` connections, and prints one line of JSON about the `total` that follow
 * `warmup`, as the C peer does.
 */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Client, ClientShape } from './client-shape.ts'

export interface ClientAnswer {
  readonly description: string
  readonly seconds: number
  readonly cpuSeconds: number
  readonly failed: number
}

/** Loaded one at a time, so that a process holds nothing but its subject. */
const CLIENTS: Readonly<Record<string, () => Promise<{ open(shape: ClientShape): Client }>>> = {
  transfer: () => import('./subjects/client-transfer.ts'),
  request: () => import('./subjects/client-request.ts'),
  'undici-dispatch': () => import('./subjects/client-undici-dispatch.ts'),
  'undici-request': () => import('./subjects/client-undici-request.ts'),
}

async function measureClient(name: string, parameters: readonly string[]): Promise<ClientAnswer> {
  const load = CLIENTS[name]
  if (load === undefined) throw new Error(`no client ${name}; there are ${Object.keys(CLIENTS).join(', ')}`)
  const [total = 0, warmup = 0, parallel = 0, connections = 0, fresh = 0] = parameters.slice(1).map(Number)
  const { open } = await load()
  const client = open({ url: parameters[0] as string, parallel, connections, fresh: fresh === 1 })
  const failedBefore = await client.run(warmup)
  const before = process.cpuUsage()
  const begin = performance.now()
  const failed = await client.run(total)
  const seconds = (performance.now() - begin) / 1000
  const used = process.cpuUsage(before)
  await client.close()
  const cpuSeconds = (used.user + used.system) / 1e6
  return { description: `${name}, Node ${process.version}`, seconds, cpuSeconds, failed: failedBefore + failed }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [name = '', ...parameters] = process.argv.slice(2)
  console.log(JSON.stringify(await measureClient(name, parameters)))
}
