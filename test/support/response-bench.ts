/**
 * One connection of a server with nothing but responses on it: requests come in as heads, a function answers each, and
 * the peer is a plain descriptor of the same kernel. Runs on the real kernel and on a simulated one.
 */

import { SocketFilter } from '../../lib/connection/socket-filter.ts'
import { ByteStream } from '../../lib/connection/stream.ts'
import { Multi, type MultiOptions, SystemError } from '../../lib/index.ts'
import { engineOf } from '../../lib/multi/multi.ts'
import type { CloseReason } from '../../lib/server/connection/close-reason.ts'
import { ConnectionMachine, type ConnectionOwner } from '../../lib/server/connection/connection-machine.ts'
import type { Driver } from '../../lib/server/connection/driver.ts'
import { Outbox } from '../../lib/server/connection/outbox.ts'
import type { HttpResponse } from '../../lib/server/http/response/response.ts'
import {
  type ResponseContext,
  ResponseSender,
  type ResponseSettings,
  SendStatus,
} from '../../lib/server/http/response/response-sender.ts'
import type { Kernel, RegisteredBuffer } from '../../lib/sys/kernel.ts'
import { kernel as realKernel } from '../../lib/sys/native.ts'
import { Interest } from '../../lib/sys/readiness.ts'
import type { Simulation } from '../sim/simulation.ts'

export interface AskedRequest extends ResponseContext {
  readonly target: string
  readonly head: string
}

export type AnswerFunction = (request: AskedRequest, sender: ResponseSender) => HttpResponse

const STEPS_MAX = 20_000
const READ_BYTES = 256 * 1024

class BareDriver implements Driver {
  readonly deadline = Number.POSITIVE_INFINITY
  readonly sender: ResponseSender
  readonly #machine: ConnectionMachine
  readonly #outbox: Outbox
  readonly #answer: AnswerFunction
  #status: SendStatus = SendStatus.DONE
  #input = ''
  #keepAlive = true
  readonly statuses: SendStatus[] = []

  constructor(machine: ConnectionMachine, answer: AnswerFunction, settings?: ResponseSettings) {
    this.#machine = machine
    this.#outbox = new Outbox(machine)
    this.sender = new ResponseSender(machine, this.#outbox, settings)
    this.#answer = answer
  }

  get dormant(): boolean {
    return this.#status === SendStatus.WAITING
  }

  open(): void {}
  expired(): void {}
  drain(): void {}

  run(): void {
    this.#read()
    if (this.sender.busy) this.#note(this.sender.run())
    while (this.#machine.open && !this.sender.busy && this.#keepAlive && this.#next()) {}
    if (!this.#machine.open) return
    const flushed = this.#outbox.flush()
    if (flushed < 0 && flushed !== -this.#machine.host.kernel.errno.EAGAIN) this.#machine.reset('error')
    else if (!this.sender.busy && !this.#keepAlive && this.#outbox.pending === 0) this.#machine.finish('done')
  }

  wants(): number {
    const blocked = this.#status === SendStatus.BLOCKED || this.#outbox.pending > 0
    return Interest.READABLE | (blocked ? Interest.WRITABLE : 0)
  }

  closed(_reason: CloseReason, error: Error | null): void {
    this.#outbox.clear()
    this.sender.close(error)
  }

  #read(): void {
    const { scratch } = this.#machine.host
    const count = this.#machine.recv(scratch.id, 0, scratch.bytes.length)
    if (count > 0) this.#input += Buffer.from(scratch.bytes.subarray(0, count)).toString('latin1')
    else if (count !== -this.#machine.host.kernel.errno.EAGAIN) this.#machine.fail('peer', null)
  }

  #next(): boolean {
    const end = this.#input.indexOf('\r\n\r\n')
    if (end < 0) return false
    const head = this.#input.slice(0, end)
    this.#input = this.#input.slice(end + 4)
    const [, method = '', target = '', httpVersion = ''] = /^(\S+) (\S+) HTTP\/(\S+)/.exec(head) ?? []
    const keepAlive = httpVersion === '1.0' ? /connection: keep-alive/i.test(head) : !/connection: close/i.test(head)
    const request = { method, target, httpVersion, keepAlive, head }
    let status: SendStatus
    try {
      status = this.sender.start(this.#answer(request, this.sender), request)
    } catch (error) {
      status = this.sender.start({ status: 500, body: (error as Error).message }, request)
    }
    this.#keepAlive = this.sender.keepAlive
    this.#note(status)
    return true
  }

  #note(status: SendStatus): void {
    this.#status = status
    this.statuses.push(status)
    if (status === SendStatus.FAILED && this.#machine.open) {
      this.#machine.reset(this.sender.failureReason, this.sender.failure)
    }
  }
}

export interface ResponseBenchOptions {
  readonly answer: AnswerFunction
  readonly simulation?: Simulation
  readonly settings?: ResponseSettings
  readonly multi?: MultiOptions
  readonly kernel?: Kernel
}

export class ResponseBench implements ConnectionOwner {
  readonly multi: Multi
  readonly machine: ConnectionMachine
  readonly kernel: Kernel
  /** What the peer has read, Latin-1. */
  received = ''
  receivedBytes = 0
  /** The peer saw the end: 'end', or the name of an error. */
  end: string | null = null
  outcome: { readonly reason: CloseReason; readonly error: Error | null } | null = null
  /** False: bytes are counted and let go. */
  keeps = true
  readonly lingerMs = 0
  /** What callbacks threw. */
  readonly thrown: unknown[] = []
  readonly #peer: number
  readonly #buffer: RegisteredBuffer
  readonly #options: ResponseBenchOptions
  #driver: BareDriver | null = null
  #peerOpen = true

  constructor(options: ResponseBenchOptions) {
    this.#options = options
    const { simulation } = options
    this.kernel = options.kernel ?? simulation?.kernel ?? realKernel
    const seams =
      simulation === undefined
        ? {}
        : { kernel: simulation.kernel, clock: simulation.clock, resolver: simulation.resolver, files: simulation.files }
    this.multi = new Multi({ debug: true, ...seams, ...options.multi })
    const pair = new Int32Array(2)
    this.kernel.socketPair(pair)
    this.#peer = pair[1] as number
    this.#buffer = this.kernel.allocate(READ_BYTES)
    const host = engineOf(this.multi)
    const fd = pair[0] as number
    host.enter('bench')
    const stream = new ByteStream(host, new SocketFilter(host, fd, this.kernel.generation(fd)), host.now)
    this.machine = new ConnectionMachine(host, stream, this, null)
    host.leave()
  }

  begin(machine: ConnectionMachine): Driver {
    this.#driver = new BareDriver(machine, this.#options.answer, this.#options.settings)
    return this.#driver
  }

  ended(reason: CloseReason, error: Error | null): void {
    this.outcome = { reason, error }
  }

  threw(error: unknown): void {
    this.thrown.push(error)
  }

  get sender(): ResponseSender {
    return (this.#driver as BareDriver).sender
  }

  get statuses(): readonly SendStatus[] {
    return this.#driver?.statuses ?? []
  }

  ask(...heads: readonly string[]): void {
    const bytes = Buffer.from(heads.map((head) => `${head}\r\n\r\n`).join(''), 'latin1')
    this.kernel.sendBytes(this.#peer, bytes, 0, bytes.length)
  }

  get(target: string, fields = ''): void {
    this.ask(`GET ${target} HTTP/1.1\r\nHost: a${fields}`)
  }

  /** The peer reads what is there. */
  read(bytesMax = Number.POSITIVE_INFINITY): void {
    const { kernel } = this
    for (let left = bytesMax; this.#peerOpen && left > 0; ) {
      const count = kernel.recv(this.#peer, this.#buffer.id, 0, Math.min(left, READ_BYTES))
      if (count === -kernel.errno.EAGAIN) return
      if (count <= 0) {
        this.end = count === 0 ? 'end' : count === -kernel.errno.ECONNRESET ? 'ECONNRESET' : String(count)
        this.hangUp()
        return
      }
      left -= count
      this.receivedBytes += count
      if (this.keeps) this.received += Buffer.from(this.#buffer.bytes.subarray(0, count)).toString('latin1')
    }
  }

  /** The server's side alone, as far as it goes without waiting. */
  step(): void {
    this.multi.perform()
  }

  /** Both sides. With promises: turns of Node's loop in between. */
  async run(until: () => boolean, reads = true): Promise<void> {
    for (let steps = 0; !until(); steps++) {
      if (steps === STEPS_MAX) throw new Error(`not done after ${STEPS_MAX} steps: ${this.received.slice(0, 300)}`)
      this.multi.perform()
      if (reads) this.read()
      if (until()) return
      if (steps % 4 === 3) await new Promise((resolve) => setImmediate(resolve))
      this.#wait()
    }
  }

  /** A wait that fails is one that was short. */
  #wait(): void {
    try {
      this.multi.poll(1)
    } catch (error) {
      if (!(error instanceof SystemError)) throw error
    }
  }

  hangUp(): void {
    if (!this.#peerOpen) return
    this.#peerOpen = false
    this.kernel.close(this.#peer)
  }

  close(): void {
    this.hangUp()
    this.multi.close()
    this.kernel.release(this.#buffer.id)
    this.#options.simulation?.assertQuiescent()
  }
}
