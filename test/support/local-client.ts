/**
 * A client for servers under test, beside them in the same thread and on the same kernel: whoever drives the server
 * looks at it between two steps. On the simulated kernel it is somebody inside the world, without descriptors.
 */
import { Family, kernel, Readiness, type SocketAddress, SocketOption } from '../../lib/index.ts'
import { errnoName } from '../../lib/sys/system-error.ts'
import { SIM_ERRNO } from '../sim/open-file.ts'
import { Peer } from '../sim/peer.ts'
import type { Simulation } from '../sim/simulation.ts'

const READ_BYTES = 65_536

export interface LocalClient {
  /** Moves what can be moved, and says whether the peer is gone: FIN came, or the connection broke. */
  readonly isOver: boolean
  /** All that came, one byte a character. */
  readonly received: string
  /** FIN came. */
  readonly ended: boolean
  /** The name of the error that broke it. */
  readonly failed: string | null
  write(text: string): void
  /** Takes nothing until `resumeReading`. */
  pauseReading(): void
  resumeReading(): void
  /** FIN, after what was written. */
  end(): void
  close(): void
  reset(): void
}

export function connectClient(simulation: Simulation | null, to: SocketAddress): LocalClient {
  const address = { ...to, address: WILDCARDS[to.address] ?? to.address }
  return simulation === null ? new KernelClient(address) : new WorldClient(simulation, address)
}

const WILDCARDS: Readonly<Record<string, string>> = { '::': '::1', '0.0.0.0': '127.0.0.1' }

class WorldClient implements LocalClient {
  received = ''
  ended = false
  failed: string | null = null
  readonly #peer: Peer

  constructor({ world, kernel: simulated }: Simulation, to: SocketAddress) {
    // A loop that waits has to look up, although nothing of its own has happened.
    const tell = (): void => void world.plan(world.now, () => {})
    this.#peer = Peer.connect(world, simulated.network, to, {
      data: (bytes) => {
        this.received += Buffer.from(bytes).toString('latin1')
        tell()
      },
      ended: () => {
        this.ended = true
        tell()
      },
      failed: (errno) => {
        this.failed = errnoName({ errno: SIM_ERRNO }, -errno)
        tell()
      },
    })
  }

  get isOver(): boolean {
    return this.ended || this.failed !== null
  }

  write(text: string): void {
    this.#peer.write(text)
  }

  pauseReading(): void {
    this.#peer.pauseReading()
  }

  resumeReading(): void {
    this.#peer.resumeReading()
  }

  end(): void {
    this.#peer.end()
  }

  close(): void {
    this.#peer.close()
  }

  reset(): void {
    this.#peer.reset()
  }
}

class KernelClient implements LocalClient {
  #received = ''
  #ended = false
  #failed: string | null = null
  #fd: number
  #output = Buffer.alloc(0)
  #isConnecting = true
  #isPaused = false
  #endWanted = false
  readonly #buffer = kernel.allocate(READ_BYTES)

  constructor(to: SocketAddress) {
    this.#fd = kernel.socket(to.family)
    const result = this.#fd < 0 ? this.#fd : kernel.connect(this.#fd, to.family, to.address, to.port)
    if (result < 0 && result !== -kernel.errno.EINPROGRESS) this.#fail(result)
    if (result === 0 || to.family === Family.UNIX) this.#isConnecting = false
  }

  get isOver(): boolean {
    this.#move()
    return this.#ended || this.#failed !== null
  }

  get received(): string {
    this.#move()
    return this.#received
  }

  get ended(): boolean {
    this.#move()
    return this.#ended
  }

  get failed(): string | null {
    this.#move()
    return this.#failed
  }

  write(text: string): void {
    this.#output = Buffer.concat([this.#output, Buffer.from(text, 'latin1')])
    this.#move()
  }

  pauseReading(): void {
    this.#isPaused = true
  }

  resumeReading(): void {
    this.#isPaused = false
    this.#move()
  }

  end(): void {
    this.#endWanted = true
    this.#move()
  }

  close(): void {
    if (this.#fd < 0) return
    kernel.close(this.#fd)
    kernel.release(this.#buffer.id)
    this.#fd = -1
  }

  reset(): void {
    if (this.#fd >= 0) kernel.setOption(this.#fd, SocketOption.LINGER, 0)
    this.close()
  }

  #move(): void {
    if (this.#fd < 0 || this.#isStillConnecting()) return
    this.#send()
    while (this.#fd >= 0 && !this.#ended && !this.#isPaused) {
      const count = kernel.recv(this.#fd, this.#buffer.id, 0, READ_BYTES)
      if (count === -kernel.errno.EAGAIN) return
      if (count < 0) this.#fail(count)
      else if (count === 0) this.#ended = true
      else this.#received += Buffer.from(this.#buffer.bytes.subarray(0, count)).toString('latin1')
    }
  }

  #isStillConnecting(): boolean {
    if (!this.#isConnecting) return false
    const entry = new Int32Array([this.#fd, Readiness.WRITABLE, 0])
    if (kernel.poll(entry, 1, 0) === 0) return true
    this.#isConnecting = false
    const error = kernel.getOption(this.#fd, SocketOption.ERROR)
    if (error > 0) this.#fail(-error)
    return this.#fd < 0
  }

  #send(): void {
    while (this.#fd >= 0 && this.#output.length > 0) {
      const count = kernel.sendBytes(this.#fd, this.#output, 0, this.#output.length)
      if (count === -kernel.errno.EAGAIN) return
      if (count < 0) this.#fail(count)
      else this.#output = this.#output.subarray(count)
    }
    if (this.#fd >= 0 && this.#endWanted) {
      kernel.shutdownWrite(this.#fd)
      this.#endWanted = false
    }
  }

  #fail(result: number): void {
    this.#failed = errnoName(kernel, result)
    this.close()
  }
}
