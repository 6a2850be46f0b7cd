/**
 * The only file that binds the addon: finds it, and gives its functions the shape of the contracts in this directory.
 * `kernel` holds the native functions themselves, because a wrapper would cost as much as the crossing. What the addon
 * answers as -errno becomes a SystemError here where the contract throws.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { DescriptorSharing } from './descriptor-sharing.ts'
import { deviceAddresses } from './device-addresses.ts'
import type { InflateFormat, InflateProvider, InflateStatus, InflateStream } from './inflate.ts'
import type { ErrnoTable, Family, Kernel } from './kernel.ts'
import type { PollerAddOptions, PollerBackend, PollerLike, PollerOptions } from './poller.ts'
import type { Resolver, ResolverAnswer } from './resolver.ts'
import { systemError } from './system-error.ts'

interface OpenedPoller {
  readonly id: number
  readonly fd: number
  readonly ready: Int32Array
  /** Closes the native poller when it is collected; nothing else is done with it. */
  readonly guard: object
}

interface OpenedResolver {
  readonly id: number
  readonly fd: number
  readonly guard: object
}

interface CollectedAnswer extends ResolverAnswer {
  readonly query: number
}

/** What `native/addon.cc` exports. Objects of the addon are named by small ids, 0 names none. */
interface Addon extends Omit<Kernel, 'deviceAddresses'>, DescriptorSharing {
  openFile(path: string): number
  fileStatus(fd: number, figures: Float64Array): number
  readFile(fd: number, into: Uint8Array, offset: number, length: number, position: number): number
  setThreadNiceness(niceness: number): number
  threadUrgency(): number
  readonly errno: ErrnoTable
  readonly pollerBackends: Readonly<Record<string, number>>
  readonly pollerFlags: Readonly<Record<keyof PollerAddOptions, number>>
  pollerOpen(backend: string, capacity: number): OpenedPoller | number
  pollerAdd(id: number, fd: number, interest: number, flags: number): number
  pollerModify(id: number, fd: number, interest: number): number
  pollerRemove(id: number, fd: number): number
  pollerWait(id: number, timeoutMs: number): number
  pollerWakeup(id: number): number
  pollerClose(id: number): void
  resolverOpen(): OpenedResolver | number
  resolverLookup(id: number, hostname: string, family: number): number
  resolverCancel(id: number, query: number): void
  resolverCollect(id: number): void
  resolverNext(id: number): CollectedAnswer | undefined
  resolverAnnounce(id: number): void
  resolverClose(id: number): void
  nodeLoopOpen(pollerFd: number, callback: (timedOut: boolean) => void): number
  nodeLoopSetTimer(id: number, ms: number): void
  nodeLoopRef(id: number): void
  nodeLoopUnref(id: number): void
  nodeLoopClose(id: number): void
  inflateKnows(format: number): number
  inflateOpen(format: number): number
  inflateRun(
    id: number,
    input: Uint8Array,
    start: number,
    end: number,
    output: Uint8Array,
    progress: Int32Array,
  ): InflateStatus
  inflateReset(id: number): number
  inflateClose(id: number): void
  systemCalls(): Readonly<Record<string, number>>
  ownedCount(): number
}

const PACKAGE_NAME = 'sockmux'
const ADDON_FILE = 'sockmux.node'
const DEFAULT_CAPACITY = 1024
const CAPACITY_MAX = 1 << 20

function isPackageRoot(directory: string): boolean {
  const file = join(directory, 'package.json')
  if (!existsSync(file)) return false
  const manifest: unknown = JSON.parse(readFileSync(file, 'utf8'))
  return typeof manifest === 'object' && manifest !== null && 'name' in manifest && manifest.name === PACKAGE_NAME
}

/** This file runs from lib/sys and from dist/lib/sys, so the root is looked for upwards. */
function packageRoot(): string {
  const start = dirname(fileURLToPath(import.meta.url))
  let directory = start
  while (!isPackageRoot(directory)) {
    const parent = dirname(directory)
    if (parent === directory) throw new Error(`the package ${PACKAGE_NAME} was not found above ${start}`)
    directory = parent
  }
  return directory
}

/** Only glibc names itself in the report; other systems have one libc. */
function isMusl(): boolean {
  if (process.platform !== 'linux') return false
  // The report would look up the names of open connections, which may take seconds.
  const settings = process.report as { excludeNetwork?: boolean }
  const { excludeNetwork } = settings
  settings.excludeNetwork = true
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  settings.excludeNetwork = excludeNetwork ?? false
  return report.header?.glibcVersionRuntime === undefined
}

/** The file of the addon: SOCKMUX_ADDON, a build in a checkout, or the binary that the package brings. */
export function addonPath(): string {
  const override = process.env['SOCKMUX_ADDON']
  if (override !== undefined && override !== '') return override
  const root = packageRoot()
  const built = join(root, 'build', 'Release', ADDON_FILE)
  if (existsSync(built)) return built
  const target = `${process.platform}-${process.arch}${isMusl() ? '-musl' : ''}`
  return join(root, 'prebuilds', target, ADDON_FILE)
}

function loadAddon(): Addon {
  const path = addonPath()
  try {
    return createRequire(import.meta.url)(path) as Addon
  } catch (cause) {
    const reason = existsSync(path) ? `could not be loaded: ${(cause as Error).message}` : 'does not exist'
    const message = `the addon ${path} ${reason}; in a checkout run \`npm run build:native\``
    throw new Error(message, { cause })
  }
}

const addon = loadAddon()

export const kernel: Kernel = {
  errno: Object.freeze(addon.errno),
  allocate: addon.allocate,
  release: addon.release,
  generation: addon.generation,
  adopt: addon.adopt,
  disown: addon.disown,
  offer: addon.offer,
  claim: addon.claim,
  withdraw: addon.withdraw,
  close: addon.close,
  pipe: addon.pipe,
  socketPair: addon.socketPair,
  socket: addon.socket,
  setOption: addon.setOption,
  getOption: addon.getOption,
  bind: addon.bind,
  bindToDevice: addon.bindToDevice,
  deviceAddresses,
  listen: addon.listen,
  accept: addon.accept,
  connect: addon.connect,
  localAddress: addon.localAddress,
  peerAddress: addon.peerAddress,
  peerCredentials: addon.peerCredentials,
  setMode: addon.setMode,
  setPathMode: addon.setPathMode,
  fileIdentity: addon.fileIdentity,
  unlink: addon.unlink,
  lockFile: addon.lockFile,
  recv: addon.recv,
  peek: addon.peek,
  send: addon.send,
  sendBytes: addon.sendBytes,
  sendPieces: addon.sendPieces,
  read: addon.read,
  write: addon.write,
  writev: addon.writev,
  sendfile: addon.sendfile,
  readBatch: addon.readBatch,
  writeBatch: addon.writeBatch,
  recvBatch: addon.recvBatch,
  sendBatch: addon.sendBatch,
  shutdownWrite: addon.shutdownWrite,
  poll: addon.poll,
  descriptorLimit: addon.descriptorLimit,
  openWakeup: addon.openWakeup,
  wake: addon.wake,
  clearWakeup: addon.clearWakeup,
}

export const descriptorSharing: DescriptorSharing = {
  share: addon.share,
  duplicate: addon.duplicate,
  sendDescriptors: addon.sendDescriptors,
  receiveDescriptors: addon.receiveDescriptors,
}

/** For `native-files.ts`. */
export const fileVerbs = { open: addon.openFile, status: addon.fileStatus, read: addon.readFile }

/** How the scheduler treats the calling thread. */
export const thread: {
  /** -20 to 19, the lower the more urgent; raising needs a privilege. 0 or -errno. */
  setNiceness(niceness: number): number
  /** 1 to 40, the higher the more urgent: 20 minus the niceness; or -errno. */
  urgency(): number
} = { setNiceness: addon.setThreadNiceness, urgency: addon.threadUrgency }

/** System calls that the addon made for this thread since it was loaded, by name. */
export const systemCalls: () => Readonly<Record<string, number>> = addon.systemCalls
/** Descriptors that this thread owns, those inside its pollers included. */
export const ownedCount: () => number = addon.ownedCount

/** The backends of this platform, best first. */
export const pollerBackends: readonly PollerBackend[] = Object.keys(addon.pollerBackends) as PollerBackend[]

const CONTROL_CALL: Readonly<Record<string, string>> = { epoll: 'epoll_ctl', kqueue: 'kevent', poll: 'poll' }
const WAIT_CALL: Readonly<Record<string, string>> = { epoll: 'epoll_wait', kqueue: 'kevent', poll: 'poll' }
const OPEN_CALL: Readonly<Record<string, string>> = { epoll: 'epoll_create', kqueue: 'kqueue', poll: 'eventfd' }

function refuseUnknownKeys(subject: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${subject} options must be an object, got ${String(options)}`)
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) throw new TypeError(`${subject} has no option '${key}'`)
  }
}

function checkedBackend(value: unknown): PollerBackend {
  if (value === undefined) return pollerBackends[0] ?? 'poll'
  if (typeof value !== 'string') throw new TypeError(`backend must be a string, got ${String(value)}`)
  const found = pollerBackends.find((name) => name === value)
  if (found === undefined) {
    throw new RangeError(`backend must be one of ${pollerBackends.join(', ')} on this platform, got '${value}'`)
  }
  return found
}

function checkedCapacity(value: unknown): number {
  if (value === undefined) return DEFAULT_CAPACITY
  if (typeof value !== 'number') throw new TypeError(`capacity must be a number, got ${String(value)}`)
  if (!Number.isInteger(value) || value < 1 || value > CAPACITY_MAX) {
    throw new RangeError(`capacity must be an integer from 1 to ${CAPACITY_MAX}, got ${value}`)
  }
  return value
}

const ADD_OPTIONS = ['edgeTriggered', 'oneShot', 'exclusive'] as const

function checkedFlags(options: PollerAddOptions, backend: PollerBackend): number {
  refuseUnknownKeys('Poller.add', options, ADD_OPTIONS)
  let flags = 0
  for (const name of ADD_OPTIONS) {
    const value: unknown = options[name]
    if (value === undefined || value === false) continue
    if (value !== true) throw new TypeError(`${name} must be a boolean, got ${String(value)}`)
    flags |= addon.pollerFlags[name]
    if ((addon.pollerFlags[name] & (addon.pollerBackends[backend] ?? 0)) === 0) {
      throw new TypeError(`the backend '${backend}' has no ${name}`)
    }
  }
  if (options.exclusive === true && options.oneShot === true) {
    throw new TypeError('exclusive cannot be combined with oneShot')
  }
  return flags
}

/**
 * Raw readiness. Interest NONE and REMOVE both remove the registration together with its options. A poller that is
 * dropped without `close` is closed when it is collected.
 */
export class Poller implements PollerLike {
  readonly backend: PollerBackend
  readonly fd: number
  readonly ready: Int32Array
  /** 0 once closed, which names no native poller. */
  #id: number
  readonly #guard: object

  constructor(options: PollerOptions = {}) {
    refuseUnknownKeys('Poller', options, ['backend', 'capacity'])
    this.backend = checkedBackend(options.backend)
    const opened = addon.pollerOpen(this.backend, checkedCapacity(options.capacity))
    if (typeof opened === 'number') throw systemError(kernel, opened, OPEN_CALL[this.backend] ?? '')
    this.fd = opened.fd
    this.ready = opened.ready
    this.#id = opened.id
    this.#guard = opened.guard
  }

  add(fd: number, interest: number, options?: PollerAddOptions): void {
    const flags = options === undefined ? 0 : checkedFlags(options, this.backend)
    const result = addon.pollerAdd(this.#id, fd, interest, flags)
    if (result < 0) this.#fail(result, CONTROL_CALL)
  }

  modify(fd: number, interest: number): void {
    const result = addon.pollerModify(this.#id, fd, interest)
    if (result < 0) this.#fail(result, CONTROL_CALL)
  }

  remove(fd: number): void {
    const result = addon.pollerRemove(this.#id, fd)
    if (result < 0) this.#fail(result, CONTROL_CALL)
  }

  wait(timeoutMs: number): number {
    const result = addon.pollerWait(this.#id, timeoutMs)
    if (result < 0) this.#fail(result, WAIT_CALL)
    return result
  }

  wakeup(): void {
    const result = addon.pollerWakeup(this.#id)
    if (result < 0) this.#fail(result, WAIT_CALL)
  }

  close(): void {
    addon.pollerClose(this.#id)
    this.#id = 0
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #fail(result: number, calls: Readonly<Record<string, string>>): never {
    if (this.#id === 0) throw new Error('Poller is closed')
    void this.#guard
    throw systemError(kernel, result, calls[this.backend] ?? '')
  }
}

/** getaddrinfo on libuv's threads, through a loop of its own. */
export class NativeResolver implements Resolver {
  readonly fd: number
  #id: number
  readonly #guard: object

  constructor() {
    const opened = addon.resolverOpen()
    if (typeof opened === 'number') throw systemError(kernel, opened, 'uv_loop_init')
    this.fd = opened.fd
    this.#id = opened.id
    this.#guard = opened.guard
  }

  lookup(hostname: string, family: typeof Family.IPV4 | typeof Family.IPV6 | null): number {
    return addon.resolverLookup(this.#id, hostname, family ?? 0)
  }

  cancel(query: number): void {
    addon.resolverCancel(this.#id, query)
  }

  /** `deliver` may cancel, look up, and close. When it throws, the other answers stay and are announced again. */
  collect(deliver: (query: number, answer: ResolverAnswer) => void): number {
    addon.resolverCollect(this.#id)
    let count = 0
    try {
      for (let next = addon.resolverNext(this.#id); next !== undefined; next = addon.resolverNext(this.#id)) {
        count += 1
        deliver(next.query, { addresses: next.addresses, error: next.error })
      }
    } finally {
      addon.resolverAnnounce(this.#id)
    }
    return count
  }

  close(): void {
    void this.#guard
    addon.resolverClose(this.#id)
    this.#id = 0
  }
}

/**
 * A poller on Node's own loop. The callback runs with `false` when `pollerFd` is readable and with `true` when the
 * timer is due; promises settle after each. Close it before the poller.
 */
export class NodeLoop {
  #id: number

  constructor(pollerFd: number, callback: (timedOut: boolean) => void) {
    const id = addon.nodeLoopOpen(pollerFd, callback)
    if (id < 0) throw systemError(kernel, id, 'uv_poll_init')
    this.#id = id
  }

  /** -1 none; 0 soon, but never from inside this call; otherwise milliseconds, never early. */
  setTimer(ms: number): void {
    addon.nodeLoopSetTimer(this.#id, ms)
  }

  /** The process stays alive. So it is from the beginning. */
  ref(): void {
    addon.nodeLoopRef(this.#id)
  }

  unref(): void {
    addon.nodeLoopUnref(this.#id)
  }

  close(): void {
    addon.nodeLoopClose(this.#id)
    this.#id = 0
  }
}

class NativeInflateStream implements InflateStream {
  readonly #progress = new Int32Array(2)
  #id: number

  constructor(id: number) {
    this.#id = id
  }

  get used(): number {
    return this.#progress[0] as number
  }

  get made(): number {
    return this.#progress[1] as number
  }

  run(input: Uint8Array, start: number, end: number, output: Uint8Array): InflateStatus {
    return addon.inflateRun(this.#id, input, start, end, output, this.#progress)
  }

  reset(): boolean {
    return addon.inflateReset(this.#id) === 0
  }

  close(): void {
    addon.inflateClose(this.#id)
    this.#id = 0
  }
}

/** The zlib, the brotli and, since Node 22.15, the zstd inside the Node binary. */
export const inflateProvider: InflateProvider = {
  knows: (format: InflateFormat) => addon.inflateKnows(format) === 1,
  open: (format: InflateFormat) => {
    const id = addon.inflateOpen(format)
    return id < 0 ? null : new NativeInflateStream(id)
  },
}
