/** What every example does with its loop: fetches 200 URLs from a local origin and prints how that went. */
import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Multi, Transfer, type TransferError } from 'sockmux'
import { CountedMulti } from './counted-multi.ts'
import type { Loop } from './loop.ts'
import { type Origin, startOrigin } from './origin.ts'

export interface Demonstration {
  readonly script: string
  /** One option of this example's own, whose value `plug` is given. */
  readonly option?: { readonly name: string; readonly value: string; readonly text: string }
  plug(multi: Multi, value?: string): Loop
}

const TRANSFERS = 200
const TRANSFERS_MAX = 100_000
const CONNECTIONS = 16

/** True for the module that Node was started with. */
export function isMain(url: string): boolean {
  const script = process.argv[1]
  if (script === undefined) return false
  try {
    return realpathSync(createRequire(url).resolve(resolve(script))) === fileURLToPath(url)
  } catch {
    return false
  }
}

export async function demonstrate(demonstration: Demonstration): Promise<void> {
  let origin: Origin | null = null
  try {
    const wanted = readCommandLine(demonstration)
    if (wanted === null) return
    const fetching = new Fetching(demonstration, wanted.value)
    origin = await startOrigin()
    console.log(`origin                ${origin.url} (process ${origin.pid})`)
    await fetching.run(origin, wanted.transfers)
    if (fetching.failure !== null) process.exitCode = 1
  } catch (error) {
    console.error(`${demonstration.script}: ${error instanceof Error ? error.message : error}`)
    process.exitCode = 1
  } finally {
    origin?.stop()
  }
}

class Fetching {
  failure: TransferError | null = null
  readonly #multi = new CountedMulti({ maxHostConnections: CONNECTIONS })
  readonly #loop: Loop
  #ok = 0
  #bytes = 0

  constructor(demonstration: Demonstration, value: string | undefined) {
    this.#loop = demonstration.plug(this.#multi, value)
  }

  async run(origin: Origin, count: number): Promise<void> {
    const bodies = Array.from({ length: count }, () => createHash('sha256'))
    const started = performance.now()
    const ended = new Promise<void>((resolve) => this.#multi.setNotifyFunction(() => this.#readMessages(resolve)))
    bodies.forEach((body, index) => {
      const path = `/${index % 2 === 0 ? 'length' : 'chunked'}/${(index * 97) % 20_000}/${index}`
      // A chunk is borrowed: hashing it at once needs no copy.
      this.#multi.add(new Transfer({ url: origin.url + path, onData: (chunk) => void body.update(chunk) }))
    })
    this.#loop.run?.()
    await ended
    this.#print(count, performance.now() - started, digest(bodies))
    this.#loop.close()
    this.#multi.close()
  }

  #readMessages(ended: () => void): void {
    for (let message = this.#multi.infoRead(); message !== undefined; message = this.#multi.infoRead()) {
      const { transfer, error } = message
      this.#bytes += transfer.info.bytesReceived
      if (error === null) this.#ok++
      else this.failure ??= error
      this.#multi.remove(transfer)
    }
    if (this.#multi.running === 0) ended()
  }

  #print(count: number, elapsedMs: number, bodies: string): void {
    const show = (value: number): string => Math.round(value).toLocaleString('en')
    console.log(`loop                  ${this.#loop.name}`)
    console.log(`transfers             ${show(this.#ok)} of ${show(count)} ok`)
    if (this.failure !== null) console.log(`first failure         ${this.failure.code}: ${this.failure.message}`)
    console.log(`bytes                 ${show(this.#bytes)}`)
    console.log(`bodies                sha256 ${bodies}`)
    console.log(`elapsed               ${show(elapsedMs)} ms`)
    console.log(`socketFunction calls  ${show(this.#multi.socketFunctionCalls)}`)
    console.log(`timerFunction calls   ${show(this.#multi.timerFunctionCalls)}`)
    const { iterations } = this.#loop
    console.log(`loop iterations       ${iterations === null ? 'unknown' : show(iterations)}`)
  }
}

/** One digest over all bodies in the order of their URLs: the same in every loop. */
function digest(bodies: readonly ReturnType<typeof createHash>[]): string {
  const all = createHash('sha256')
  for (const body of bodies) all.update(body.digest())
  return all.digest('hex')
}

/** Null when the help was asked for, and printed. */
function readCommandLine({ script, option }: Demonstration): { transfers: number; value: string | undefined } | null {
  const text = { type: 'string' } as const
  const options = { help: { type: 'boolean' }, transfers: text, ...(option && { [option.name]: text }) } as const
  const { values } = parseArgs({ options })
  if (values.help === true) {
    console.log(`usage: node dist/examples/${script} [options]`)
    console.log(`Fetches URLs from a local origin, driven by the loop of this example, and prints how that went.`)
    console.log(`  --transfers N   how many URLs; default ${TRANSFERS}`)
    if (option !== undefined) console.log(`  --${option.name} ${option.value}`.padEnd(18) + option.text)
    console.log('  --help          this text')
    return null
  }
  const transfers = Number(values.transfers ?? TRANSFERS)
  if (!Number.isInteger(transfers) || transfers < 1 || transfers > TRANSFERS_MAX) {
    throw new RangeError(`--transfers must be a whole number from 1 to ${TRANSFERS_MAX}, not '${values.transfers}'`)
  }
  const value = option === undefined ? undefined : values[option.name as keyof typeof values]
  return { transfers, value: typeof value === 'string' ? value : undefined }
}
