import { describe, expect, it } from 'vitest'
import { Transfer } from '../../lib/client/transfer.ts'
import { Multi } from '../../lib/multi/multi.ts'
import { Family } from '../../lib/sys/kernel.ts'
import { FakeTls } from './fake-tls.ts'
import { FakeTlsProvider } from './fake-tls-provider.ts'
import { drive } from './loop.ts'
import { listenInWorld, Peer } from './peer.ts'
import { type Simulation, simulate } from './simulation.ts'
import type { StreamSocket } from './stream-socket.ts'

const ADDRESS = '10.0.0.7'
const PORT = 443
const BODY = 'x'.repeat(100)
const PAUSE_MS = 30
const WHOLE = Number.POSITIVE_INFINITY

/** What a server does when it has sent as many bytes as it may at first. */
type Manner = 'waits' | 'ends' | 'resets'

interface Plan {
  readonly cut: number
  readonly manner: Manner
  /** Says close_notify behind the answer, whose end nothing else tells. */
  readonly saysGoodbye: boolean
}

class CutServer {
  /** Bytes that it had for the client: of the handshake, and of all. */
  ofHandshake = 0
  total = 0
  readonly #simulation: Simulation
  readonly #plan: Plan
  readonly #peer: Peer
  readonly #tls: FakeTls
  #queue: Buffer = Buffer.alloc(0)
  #budget: number
  #request = ''
  #hasAnswered = false
  #isCut = false

  constructor(simulation: Simulation, socket: StreamSocket, plan: Plan) {
    const identity = { names: [ADDRESS], protocols: [], tickets: new Set<string>(), interjects: () => false }
    this.#simulation = simulation
    this.#plan = plan
    this.#budget = plan.cut
    this.#tls = new FakeTls(identity)
    const events = { data: (bytes: Uint8Array) => this.#receive(bytes), ended: () => this.#peer.close() }
    this.#peer = new Peer(simulation.world, socket, events)
  }

  #receive(bytes: Uint8Array): void {
    this.#tls.receive(bytes)
    for (let more = true; more; more = this.#tls.hasRecord) {
      this.#tls.advance()
      this.#request += this.#tls.takePlain(WHOLE).toString()
    }
    if (this.#request.endsWith('\r\n\r\n')) this.#answer()
    this.#flush()
  }

  #answer(): void {
    this.#request = ''
    this.#hasAnswered = true
    this.#tls.sendData(Buffer.from(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${BODY}`))
    if (this.#plan.saysGoodbye) this.#tls.sendClose()
  }

  #flush(): void {
    const fresh = Buffer.concat(this.#tls.output.splice(0))
    this.total += fresh.length
    if (!this.#hasAnswered) this.ofHandshake += fresh.length
    this.#queue = Buffer.concat([this.#queue, fresh])
    const piece = this.#queue.subarray(0, this.#budget)
    this.#budget -= piece.length
    this.#queue = this.#queue.subarray(piece.length)
    this.#peer.write(piece)
    if (this.#queue.length > 0) this.#cut()
    else if (this.#hasAnswered && !this.#plan.saysGoodbye) this.#peer.end()
  }

  #cut(): void {
    if (this.#isCut) return
    this.#isCut = true
    if (this.#plan.manner === 'ends') this.#peer.end()
    else this.#simulation.world.after(PAUSE_MS, () => this.#goOn())
  }

  #goOn(): void {
    this.#budget = WHOLE
    if (this.#plan.manner === 'resets') this.#peer.reset()
    else this.#flush()
  }
}

interface Result {
  readonly code: string
  readonly received: string
  readonly ofHandshake: number
  readonly total: number
}

function fetchFrom(plan: Plan): Result {
  const simulation = simulate(1)
  const { world, kernel, clock, resolver } = simulation
  const provider = new FakeTlsProvider()
  const servers: CutServer[] = []
  listenInWorld(world, kernel.network, { family: Family.IPV4, address: ADDRESS, port: PORT }, (socket) => {
    servers.push(new CutServer(simulation, socket, plan))
  })
  const multi = new Multi<Transfer>({ kernel, clock, resolver, tlsProvider: provider, debug: true })
  let received = ''
  const onData = (chunk: Uint8Array): void => {
    received += Buffer.from(chunk).toString()
  }
  multi.add(new Transfer({ url: `https://${ADDRESS}/`, onData, timeoutMs: 5000 }))
  drive(simulation, multi)
  const code = multi.infoRead()?.error?.code ?? 'OK'
  multi.close()
  simulation.assertQuiescent()
  expect(provider.leftovers()).toEqual([])
  expect(servers).toHaveLength(1)
  const [{ ofHandshake, total } = { ofHandshake: 0, total: 0 }] = servers
  return { code, received, ofHandshake, total }
}

describe('a TLS connection that is cut at every byte', () => {
  const whole = fetchFrom({ cut: WHOLE, manner: 'waits', saysGoodbye: true })
  const cuts = Array.from({ length: whole.total }, (_, index) => index)

  it('comes whole when nothing cuts it', () => {
    expect(whole).toMatchObject({ code: 'OK', received: BODY })
    expect(whole.ofHandshake).toBeGreaterThan(2000)
  })

  it('goes on where it was cut', () => {
    for (const cut of cuts) {
      const { code, received } = fetchFrom({ cut, manner: 'waits', saysGoodbye: true })
      expect(`${cut} ${code} ${received}`).toBe(`${cut} OK ${BODY}`)
    }
  })

  it.each(['ends', 'resets'] as const)('fails in the handshake or while receiving when the server %s', (manner) => {
    for (const cut of cuts) {
      const { code, received } = fetchFrom({ cut, manner, saysGoodbye: true })
      expect(BODY.startsWith(received)).toBe(true)
      // Without a byte of the answer it is the handshake that failed, unless that was complete for the client.
      expect(`${cut} ${code}`).toMatch(received === '' ? /SSL_CONNECT_ERROR|RECV_ERROR/ : /RECV_ERROR/)
      if (cut < 2000) expect(code).toBe('SSL_CONNECT_ERROR')
    }
  })

  it('is not taken for whole when its end was not announced', () => {
    const result = fetchFrom({ cut: WHOLE, manner: 'waits', saysGoodbye: false })
    expect(result).toMatchObject({ code: 'RECV_ERROR', received: BODY })
  })
})
