/**
 * The kernel of the simulation: every verb of the contract, over files in memory.
 */
import {
  BATCH_STRIDE,
  Family,
  type FileIdentity,
  type Kernel,
  type PeerCredentials,
  POLL_STRIDE,
  SEGMENT_STRIDE,
  type SocketAddress,
  SocketOption,
} from '../../lib/sys/kernel.ts'
import { LOOPBACK } from './channel.ts'
import { KernelCore } from './kernel-core.ts'
import { sameFamilyAny } from './network.ts'
import { EventFile, fail, type OpenFile, RegularFile } from './open-file.ts'
import { createPipe } from './pipe.ts'
import { StreamSocket } from './stream-socket.ts'

const POISON = 0xdd
const FAMILIES: ReadonlySet<number> = new Set(Object.values(Family))
const INTERNET_OPTIONS: ReadonlySet<number> = new Set([
  SocketOption.NO_DELAY,
  SocketOption.KEEP_ALIVE_IDLE,
  SocketOption.KEEP_ALIVE_INTERVAL,
  SocketOption.KEEP_ALIVE_COUNT,
  SocketOption.V6_ONLY,
  SocketOption.DEFER_ACCEPT,
  SocketOption.FAST_OPEN,
  SocketOption.CORK,
])
const SEGMENTS_MOST = 1024
const PIECES_MOST = 64

export class SimKernel extends KernelCore implements Kernel {
  pipe(pair: Int32Array): number {
    return this.#openPair('pipe', pair, createPipe)
  }

  socketPair(pair: Int32Array): number {
    return this.#openPair('socketPair', pair, () => {
      const a = new StreamSocket(this.world, Family.UNIX)
      const b = new StreamSocket(this.world, Family.UNIX)
      StreamSocket.join(a, b, LOOPBACK)
      for (const end of [a, b]) {
        end.remote = { family: Family.UNIX, address: '', port: 0 }
        end.connectReported = true
        end.establish()
      }
      return [a, b]
    })
  }

  #openPair(verb: string, pair: Int32Array, create: () => [OpenFile, OpenFile]): number {
    return this.run(verb, -1, () => {
      if (this.table.openCount + 2 > this.table.limit) return fail('EMFILE')
      const [a, b] = create()
      pair[0] = this.open(a)
      pair[1] = this.open(b)
      return 0
    })
  }

  socket(family: Family): number {
    if (!FAMILIES.has(family)) throw new RangeError('family: must be one of Family')
    return this.run('socket', -1, () => this.tableError() || this.open(new StreamSocket(this.world, family)))
  }

  setOption(fd: number, option: SocketOption, value: number): number {
    return this.onSocket('setOption', fd, (socket) => {
      if (option === SocketOption.ERROR || option === SocketOption.ACCEPTING) return fail('ENOPROTOOPT')
      if (socket.isUnix && INTERNET_OPTIONS.has(option)) return fail('EOPNOTSUPP')
      if (socket.family === Family.IPV4 && option === SocketOption.V6_ONLY) return fail('ENOPROTOOPT')
      if (this.random.chance(this.faults.optionRefused)) return fail('ENOPROTOOPT')
      if (option === SocketOption.LINGER) socket.lingerZero = value === 0
      socket.options.set(option, value)
      return 0
    })
  }

  getOption(fd: number, option: SocketOption): number {
    return this.onSocket('getOption', fd, (socket) => {
      if (option === SocketOption.ERROR) return socket.takeError()
      if (option === SocketOption.ACCEPTING) return socket.state === 'listening' ? 1 : 0
      return socket.options.get(option) ?? (option === SocketOption.LINGER ? -1 : 0)
    })
  }

  bind(fd: number, family: Family, address: string, port: number): number {
    return this.onSocket('bind', fd, (socket) => this.network.bind(socket, family, address, port))
  }

  bindToDevice(fd: number, device: string): number {
    return this.onSocket('bindToDevice', fd, () => this.network.bindToDevice(device))
  }

  deviceAddresses(device: string): readonly SocketAddress[] {
    return this.network.devices.get(device) ?? []
  }

  listen(fd: number, backlog: number): number {
    return this.onSocket('listen', fd, (socket) => this.network.listen(socket, backlog))
  }

  accept(fd: number): number {
    return this.onSocket('accept', fd, (socket) => {
      const full = this.tableError()
      if (full !== 0) return full
      if (socket.state !== 'listening' || socket.backlog === null) return fail('EINVAL')
      if (this.random.chance(this.faults.acceptAborted)) {
        const aborted = socket.backlog.queue.shift()
        aborted?.reset()
        if (aborted !== undefined) return fail('ECONNABORTED')
      }
      const accepted = socket.backlog.queue.shift()
      return accepted === undefined ? fail('EAGAIN') : this.open(accepted)
    })
  }

  connect(fd: number, family: Family, address: string, port: number): number {
    return this.onSocket('connect', fd, (socket) => this.network.connect(socket, family, address, port))
  }

  localAddress(fd: number): SocketAddress | number {
    let answer: SocketAddress | null = null
    const result = this.onSocket('localAddress', fd, (socket) => {
      answer = socket.local ?? { family: socket.family, address: sameFamilyAny(socket.family), port: 0 }
      return 0
    })
    return result < 0 ? result : (answer as unknown as SocketAddress)
  }

  peerAddress(fd: number): SocketAddress | number {
    let answer: SocketAddress | null = null
    const result = this.onSocket('peerAddress', fd, (socket) => {
      if (socket.state !== 'connected' || socket.remote === null || socket.isOver) return fail('ENOTCONN')
      answer = socket.isUnix ? (socket.peer?.local ?? socket.remote) : socket.remote
      return 0
    })
    return result < 0 ? result : (answer as unknown as SocketAddress)
  }

  peerCredentials(fd: number): PeerCredentials | number {
    const result = this.onSocket('peerCredentials', fd, ({ isUnix, state }) =>
      isUnix && (state === 'connected' || state === 'listening') ? 0 : fail('ENOTCONN'),
    )
    return result < 0 ? result : { pid: 1, uid: 1000, gid: 1000 }
  }

  setMode(fd: number, mode: number): number {
    return this.run('setMode', fd, (file) => {
      if (file instanceof StreamSocket) file.mode = mode
      return 0
    })
  }

  setPathMode(path: string, mode: number): number {
    return this.run('setPathMode', -1, () => this.network.unixNames.setMode(path, mode))
  }

  fileIdentity(path: string): FileIdentity | number {
    let answer: FileIdentity | number = 0
    const result = this.run('fileIdentity', -1, () => {
      answer = this.network.unixNames.identity(path)
      return typeof answer === 'number' ? answer : 0
    })
    return result < 0 ? result : answer
  }

  unlink(path: string): number {
    return this.run('unlink', -1, () => this.network.unixNames.unlink(path))
  }

  lockFile(path: string): number {
    return this.run('lockFile', -1, () => {
      const full = this.tableError()
      if (full !== 0) return full
      const file = this.network.unixNames.lock(path)
      return file === null ? fail('EAGAIN') : this.open(file)
    })
  }

  recv(fd: number, bufferId: number, offset: number, length: number): number {
    return this.#take('recv', fd, bufferId, offset, length)
  }

  peek(fd: number, bufferId: number, offset: number, length: number): number {
    return this.#take('peek', fd, bufferId, offset, length)
  }

  read(fd: number, bufferId: number, offset: number, length: number): number {
    return this.#take('read', fd, bufferId, offset, length)
  }

  #take(verb: 'recv' | 'peek' | 'read', fd: number, bufferId: number, offset: number, length: number): number {
    const into = this.region(verb, bufferId, offset, length)
    return this.run(verb, fd, (file) => {
      if (!(file instanceof StreamSocket) && verb !== 'read') return fail('ENOTSOCK')
      const part = this.part(file, into, this.faults.partialRead)
      if (part === null) return fail('EAGAIN')
      const count = file instanceof StreamSocket ? file.receive(part, verb === 'peek') : file.read(part)
      if (count >= 0 && this.random.chance(this.faults.poison)) into.fill(POISON, count)
      if (count > 0 && verb !== 'peek') this.progress += count
      return count
    })
  }

  send(fd: number, bufferId: number, offset: number, length: number): number {
    return this.#give('send', fd, this.region('send', bufferId, offset, length))
  }

  sendBytes(fd: number, bytes: Uint8Array, offset: number, length: number): number {
    const inside = offset >= 0 && length >= 0 && offset + length <= bytes.length
    if (!inside) {
      this.violate(`sendBytes of ${offset}+${length} in ${bytes.length} bytes`)
      throw new RangeError('offset, length: reach outside the bytes')
    }
    return this.#give('sendBytes', fd, bytes.subarray(offset, offset + length))
  }

  sendPieces(fd: number, pieces: readonly Uint8Array[], first: number, sent: number): number {
    const wanted = pieces.slice(first, first + PIECES_MOST)
    const bytes = Buffer.concat(wanted)
    if (first < 0 || sent < 0 || sent > (wanted[0]?.length ?? 0)) {
      this.violate(`sendPieces from ${first} without ${sent} of ${pieces.length} pieces`)
      throw new RangeError('sent: is more than the first piece has')
    }
    return this.#give('sendPieces', fd, bytes.subarray(sent))
  }

  write(fd: number, bufferId: number, offset: number, length: number): number {
    return this.#give('write', fd, this.region('write', bufferId, offset, length))
  }

  writev(fd: number, segments: Int32Array, count: number): number {
    if (count > SEGMENTS_MOST) throw new RangeError('count: must be at most 1024')
    const parts: Uint8Array[] = []
    for (let i = 0; i < count; i++) {
      const at = i * SEGMENT_STRIDE
      parts.push(this.region('writev', segments[at] ?? 0, segments[at + 1] ?? 0, segments[at + 2] ?? 0))
    }
    return this.#give('writev', fd, Buffer.concat(parts))
  }

  sendfile(fd: number, fileFd: number, position: number, length: number): number {
    const source = this.table.file(fileFd)
    if (!(source instanceof RegularFile)) return fail(source === null ? 'EBADF' : 'EINVAL')
    return this.#give('sendfile', fd, source.bytes.subarray(position, position + length))
  }

  #give(verb: string, fd: number, bytes: Uint8Array): number {
    const socketsOnly = verb !== 'write' && verb !== 'writev'
    return this.run(verb, fd, (file) => {
      if (!(file instanceof StreamSocket) && socketsOnly) return fail('ENOTSOCK')
      const part = this.part(file, bytes, this.faults.partialWrite)
      if (part === null) return fail('EAGAIN')
      const count = file.write(part)
      if (count > 0) this.progress += count
      return count
    })
  }

  readBatch(bufferId: number, operations: Int32Array, count: number): number {
    return this.#batch(operations, count, (fd, offset, length) => this.read(fd, bufferId, offset, length))
  }

  writeBatch(bufferId: number, operations: Int32Array, count: number): number {
    return this.#batch(operations, count, (fd, offset, length) => this.write(fd, bufferId, offset, length))
  }

  recvBatch(bufferId: number, operations: Int32Array, count: number): number {
    return this.#batch(operations, count, (fd, offset, length) => this.recv(fd, bufferId, offset, length))
  }

  sendBatch(bufferId: number, operations: Int32Array, count: number): number {
    return this.#batch(operations, count, (fd, offset, length) => this.send(fd, bufferId, offset, length))
  }

  #batch(operations: Int32Array, count: number, verb: (fd: number, offset: number, length: number) => number): number {
    let succeeded = 0
    for (let at = 0; at < count * BATCH_STRIDE; at += BATCH_STRIDE) {
      const result = verb(operations[at] ?? -1, operations[at + 1] ?? 0, operations[at + 2] ?? 0)
      operations[at + 3] = result
      if (result >= 0) succeeded++
    }
    return succeeded
  }

  shutdownWrite(fd: number): number {
    return this.onSocket('shutdownWrite', fd, (socket) => socket.shutdownWrite())
  }

  poll(entries: Int32Array, count: number, timeoutMs: number): number {
    if (Number.isNaN(timeoutMs)) throw new RangeError('timeoutMs: must not be NaN')
    return this.run('poll', -1, () => {
      for (let i = 0; i < count; i++) entries[i * POLL_STRIDE + 2] = 0
      if (this.random.chance(this.faults.pollInterrupted)) return 0
      const deadline = timeoutMs < 0 ? Number.POSITIVE_INFINITY : this.world.now + Math.ceil(timeoutMs)
      this.world.waitUntil(() => this.#fillPoll(entries, count) > 0, deadline)
      return this.#fillPoll(entries, count)
    })
  }

  #fillPoll(entries: Int32Array, count: number): number {
    let ready = 0
    for (let at = 0; at < count * POLL_STRIDE; at += POLL_STRIDE) {
      const fd = entries[at] ?? -1
      const readiness = fd < 0 ? 0 : this.readinessOf(fd, (entries[at + 1] ?? 0) & 3)
      entries[at + 2] = readiness
      if (readiness !== 0) ready++
    }
    return ready
  }

  descriptorLimit(): number {
    return this.table.limit
  }

  openWakeup(): number {
    return this.run('openWakeup', -1, () => this.tableError() || this.open(new EventFile()))
  }

  wake(fd: number, generation: number): number {
    this.gate.pass('wake', fd)
    const file = this.table.file(fd)
    if (!(file instanceof EventFile) || this.table.generation(fd) !== generation) return fail('ESTALE')
    file.set = true
    file.activity++
    return 0
  }

  clearWakeup(fd: number): number {
    return this.run('clearWakeup', fd, (file) => {
      if (!(file instanceof EventFile)) return fail('EINVAL')
      const was = file.set
      file.set = false
      return was ? 1 : 0
    })
  }
}
