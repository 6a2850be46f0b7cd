/**
 * Does the simulator lie? Random sequences of verbs run on the real kernel and on the simulated one without faults, and
 * every answer must be of the same class: a count, or the same errno's name. Numbers of descriptors differ; slots stand
 * for them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { type NetworkInterfaceInfo, networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ERRNO_NAMES, Family, type Kernel, POLL_STRIDE, SocketOption } from '../../lib/sys/kernel.ts'
import { kernel as realKernel } from '../../lib/sys/native.ts'
import { describeWhen } from '../support/peers.ts'
import { Random } from './random.ts'
import { simulate } from './simulation.ts'
import { swarmSeeds } from './swarm.ts'

const SLOTS = 8
const STEPS = 120
const CHUNK = 300
const MODE_BITS = 0o777
/** The simulated one knows this one only. */
const UMASK = 0o022

type Choice = readonly [verb: string, slot: number, other: number, value: number]

const VERBS = [
  'socket4', 'socket6', 'socketUnix', 'socketPair', 'pipe', 'bind', 'bind', 'bindUnix', 'listen', 'listen', 'accept',
  'accept', 'connect', 'connect', 'connectUnix', 'connectNowhere', 'link', 'link', 'link', 'send', 'send', 'send',
  'recv', 'recv', 'recv', 'peek', 'read', 'write', 'writev', 'shutdownWrite', 'close', 'closeOne', 'poll',
  'poll', 'error', 'accepting', 'linger', 'noDelay', 'local', 'peer', 'wakeup', 'clearWakeup', 'generation',
  'setMode', 'credentials', 'identity', 'setPathMode', 'unlink',
] // biome-ignore format: a table

const SPOILERS: ReadonlySet<string> = new Set([
  'shutdownWrite ENOTCONN',
  ...['connect', 'connectNowhere'].flatMap((verb) => [
    `${verb} ECONNABORTED`,
    `${verb} ECONNREFUSED`,
    `${verb} ECONNRESET`,
  ]),
  'connectUnix ECONNREFUSED of TCP',
])

/** One kernel, and what the sequence has made of it. */
class Subject {
  readonly #kernel: Kernel
  readonly #directory: string
  readonly #buffer: number
  readonly #slots: number[] = new Array<number>(SLOTS).fill(-1)
  readonly #extra: number[] = []
  readonly #wakeups = new Set<number>()

  constructor(kernel: Kernel, directory: string) {
    this.#kernel = kernel
    this.#directory = directory
    this.#buffer = kernel.allocate(4096).id
  }

  name(result: number): string {
    if (result >= 0) return 'ok'
    for (const name of ERRNO_NAMES) if (this.#kernel.errno[name] === -result) return name
    return `errno ${result}`
  }

  act([verb, slot, other, value]: Choice): string {
    const kernel = this.#kernel
    const fd = this.#slots[slot] as number
    switch (verb) {
      case 'socket4':
        return this.#put(slot, kernel.socket(Family.IPV4))
      case 'socket6':
        return this.#put(slot, kernel.socket(Family.IPV6))
      case 'socketUnix':
        return this.#put(slot, kernel.socket(Family.UNIX))
      case 'wakeup':
        return this.#put(slot, kernel.openWakeup(), true)
      case 'socketPair':
      case 'pipe':
        return this.#pair(verb, slot, other)
      case 'accept':
        return fd < 0 ? 'skipped' : this.#accept(fd, other)
      case 'link':
        return this.#link(slot, other)
      case 'identity':
        return this.#identity(value)
      case 'setPathMode':
        return this.name(kernel.setPathMode(this.#path(value), value & MODE_BITS))
      case 'unlink':
        return this.name(kernel.unlink(this.#path(value)))
      case 'close':
        this.#slots[slot] = -1
        return fd < 0 ? 'skipped' : this.name(kernel.close(fd))
      default:
        return fd < 0 ? 'skipped' : this.#unlessSpoilt(slot, verb, this.#onDescriptor(verb, fd, other, value))
    }
  }

  /**
   * Closes what was shut down before it was connected, and what told that its connect has failed: Linux remembers both
   * in ways that are not worth a model, and nobody uses such a socket again.
   */
  #unlessSpoilt(slot: number, verb: string, answer: string): string {
    if (SPOILERS.has(`${verb} ${answer}`)) this.#put(slot, -1)
    return answer
  }

  closeAll(): void {
    for (const fd of [...this.#slots, ...this.#extra]) if (fd >= 0) this.#kernel.close(fd)
    this.#kernel.release(this.#buffer)
  }

  #path(value: number): string {
    return join(this.#directory, String(value % 3))
  }

  #identity(value: number): string {
    const file = this.#kernel.fileIdentity(this.#path(value))
    return typeof file === 'number' ? this.name(file) : `${file.isSocket ? 'socket' : 'file'} ${file.mode.toString(8)}`
  }

  #put(slot: number, fd: number, isWakeup = false): string {
    const old = this.#slots[slot] as number
    if (old >= 0) this.#kernel.close(old)
    this.#slots[slot] = fd < 0 ? -1 : fd
    if (isWakeup) this.#wakeups.add(fd)
    else this.#wakeups.delete(fd)
    return this.name(fd)
  }

  #pair(verb: 'pipe' | 'socketPair', slot: number, other: number): string {
    const pair = new Int32Array(2)
    const result = this.#kernel[verb](pair)
    this.#put(slot, pair[0] as number)
    if (slot === other) this.#extra.push(pair[1] as number)
    else this.#put(other, pair[1] as number)
    return this.name(result)
  }

  #accept(fd: number, other: number): string {
    const accepted = this.#kernel.accept(fd)
    return accepted < 0 ? this.name(accepted) : this.#put(other, accepted)
  }

  /** A connected TCP pair in two slots, without the listener. */
  #link(slot: number, other: number): string {
    const kernel = this.#kernel
    if (slot === other) return 'skipped'
    const listener = kernel.socket(Family.IPV4)
    kernel.listen(listener, 1)
    const address = kernel.localAddress(listener)
    if (typeof address === 'number') return 'no address'
    this.#put(slot, kernel.socket(Family.IPV4))
    const client = this.#slots[slot] as number
    const result = kernel.connect(client, Family.IPV4, '127.0.0.1', address.port)
    const answer = this.#put(other, kernel.accept(listener))
    kernel.close(listener)
    return `${this.name(result)} ${answer} ${this.name(kernel.connect(client, Family.IPV4, '127.0.0.1', 1))}`
  }

  #onDescriptor(verb: string, fd: number, other: number, value: number): string {
    const kernel = this.#kernel
    switch (verb) {
      case 'bind':
        return this.name(kernel.bind(fd, value & 1 ? Family.IPV4 : Family.IPV6, value & 1 ? '127.0.0.1' : '::1', 0))
      case 'bindUnix':
        return this.name(kernel.bind(fd, Family.UNIX, this.#path(value), 0))
      case 'listen':
        return this.name(kernel.listen(fd, 8))
      case 'connect':
        return this.#connect(fd, this.#slots[other] as number)
      case 'connectUnix':
        return this.#connectUnix(fd, value)
      case 'connectNowhere':
        return this.name(kernel.connect(fd, Family.IPV4, '127.0.0.1', 1))
      case 'setMode':
        return this.#wakeups.has(fd) ? 'skipped' : this.name(kernel.setMode(fd, value & MODE_BITS))
      case 'credentials': {
        const peer = kernel.peerCredentials(fd)
        return typeof peer === 'number' ? this.name(peer) : 'ok'
      }
      case 'poll':
        return this.#poll(fd, (value % 3) + 1)
      case 'closeOne':
        return this.name(kernel.close(fd, kernel.generation(fd) + 1))
      case 'generation':
        return this.name(kernel.generation(fd))
      case 'clearWakeup':
        return this.name(kernel.clearWakeup(fd))
      case 'local':
        return this.#address(kernel.localAddress(fd))
      case 'peer':
        return this.#address(kernel.peerAddress(fd))
      default:
        return this.#onOption(verb, fd, value) ?? this.#move(verb, fd, value)
    }
  }

  /** On a TCP socket it tells how that one's own connect went. */
  #connectUnix(fd: number, value: number): string {
    const local = this.#kernel.localAddress(fd)
    const answer = this.name(this.#kernel.connect(fd, Family.UNIX, join(this.#directory, String(value % 4)), 0))
    return typeof local === 'number' || local.family === Family.UNIX ? answer : `${answer} of TCP`
  }

  #connect(fd: number, listener: number): string {
    // A socket that connects to itself does connect; the simulated one knows no such marvels.
    const address = listener < 0 || listener === fd ? -1 : this.#kernel.localAddress(listener)
    if (typeof address === 'number' || address.port === 0) return 'skipped'
    return this.name(this.#kernel.connect(fd, address.family, address.address, address.port))
  }

  #address(address: ReturnType<Kernel['localAddress']>): string {
    if (typeof address === 'number') return this.name(address)
    return `${address.family} ${address.family === Family.UNIX ? address.address : address.address.length}`
  }

  #poll(fd: number, interest: number): string {
    const entries = new Int32Array(POLL_STRIDE)
    entries.set([fd, interest])
    this.#kernel.poll(entries, 1, 0)
    return `ready ${entries[2]}`
  }

  #onOption(verb: string, fd: number, value: number): string | null {
    const kernel = this.#kernel
    switch (verb) {
      case 'error': {
        const error = kernel.getOption(fd, SocketOption.ERROR)
        return error > 0 ? `pending ${this.name(-error)}` : this.name(error)
      }
      case 'accepting':
        return String(this.name(kernel.getOption(fd, SocketOption.ACCEPTING)))
      case 'linger':
        return this.name(kernel.setOption(fd, SocketOption.LINGER, value & 1 ? 0 : -1))
      case 'noDelay':
        return this.name(kernel.setOption(fd, SocketOption.NO_DELAY, 1))
      default:
        return null
    }
  }

  #move(verb: string, fd: number, value: number): string {
    const kernel = this.#kernel
    const length = 1 + (value % CHUNK)
    // What a counter is read and written as is nobody's business.
    if (this.#wakeups.has(fd) && (verb === 'read' || verb.startsWith('write'))) return 'skipped'
    switch (verb) {
      case 'send':
        return this.#count(kernel.send(fd, this.#buffer, 0, length))
      case 'recv':
        return this.#count(kernel.recv(fd, this.#buffer, 0, length))
      case 'peek':
        return this.#count(kernel.peek(fd, this.#buffer, 0, length))
      case 'read':
        return this.#count(kernel.read(fd, this.#buffer, 0, length))
      case 'write':
        return this.#count(kernel.write(fd, this.#buffer, 0, length))
      case 'writev':
        return this.#count(kernel.writev(fd, Int32Array.of(this.#buffer, 0, length, this.#buffer, 5, length), 2))
      default:
        return this.name(kernel.shutdownWrite(fd))
    }
  }

  #count(result: number): string {
    return result < 0 ? this.name(result) : `${result} bytes`
  }
}

function choices(seed: number): Choice[] {
  const random = new Random(seed)
  return Array.from({ length: STEPS }, () => [
    random.pick(VERBS),
    random.int(SLOTS),
    random.int(SLOTS),
    random.int(1000),
  ])
}

/** The simulator speaks Linux; the sequences use both loopback addresses. */
const isComparable =
  process.platform === 'linux' && Object.values(networkInterfaces()).some((list) => list?.some(isLoopback6))

function isLoopback6({ address }: NetworkInterfaceInfo): boolean {
  return address === '::1'
}

describeWhen(isComparable, 'the simulated kernel answers as the real one', 'needs Linux with an IPv6 loopback', () => {
  it('in random sequences of verbs', () => {
    for (const seed of swarmSeeds()) compare(seed)
  })
})

/** On a busy machine the loopback device may be late once; a lie is told every time. */
const ATTEMPTS = 3

function compare(seed: number): void {
  for (let attempt = 1; ; attempt++) {
    try {
      return compareOnce(seed)
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
    }
  }
}

function compareOnce(seed: number): void {
  const directory = mkdtempSync(join(tmpdir(), 'sockmux-oracle-'))
  const real = new Subject(realKernel, directory)
  const simulated = new Subject(simulate(seed).kernel, directory)
  const told: string[] = []
  const umask = process.umask(UMASK)
  try {
    for (const choice of choices(seed)) {
      const step = `seed ${seed} step ${told.length}: ${choice.join(' ')}`
      const actual = simulated.act(choice)
      told.push(`${step} → ${real.act(choice)}`)
      expect(`${step} → ${actual}`, told.slice(-30).join('\n')).toBe(told.at(-1))
    }
  } finally {
    process.umask(umask)
    real.closeAll()
    simulated.closeAll()
    rmSync(directory, { recursive: true })
  }
}
