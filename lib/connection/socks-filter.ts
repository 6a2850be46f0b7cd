/**
 * A SOCKS proxy as a layer: DONE when it has connected to the destination. For 'socks4' and 'socks5' the name is looked
 * up here first, as part of the set-up: `isResolving` says so; there is no interest then, and the owner's task is
 * marked dirty when the answer is there. For 'socks4a' and 'socks5h' the proxy looks it up. Time-outs are the owner's.
 */
import type { Host } from '../multi/host.ts'
import type { Task } from '../multi/task.ts'
import { Family, type SocketAddress } from '../sys/kernel.ts'
import { Interest } from '../sys/readiness.ts'
import { SocksClient, type SocksCredentials, SocksStatus } from '../wire/socks.ts'
import { formatHostPort, type IpFamily } from './address.ts'
import { type Filter, FilterStatus } from './filter.ts'
import type { NameSource } from './name-source.ts'
import { type Lookup, nameService } from './names.ts'
import { ProxyError } from './proxy-error.ts'
import { ProxyHandshake } from './proxy-handshake.ts'

export type SocksKind = 'socks4' | 'socks4a' | 'socks5' | 'socks5h'

export interface SocksDestination {
  readonly kind: SocksKind
  /** Without brackets. */
  readonly host: string
  readonly port: number
  readonly credentials?: SocksCredentials | null
  /** When the name is looked up here. null or left out: the first address, whichever it is. */
  readonly family?: IpFamily | null
  /** Instead of looking it up here. */
  readonly addresses?: readonly SocketAddress[] | null
  readonly nameMaxAgeMs?: number
  readonly nameSource?: NameSource | null
}

export type SocksEngine = Pick<Host, 'kernel' | 'scratch' | 'facility'>

export class SocksFilter extends ProxyHandshake {
  readonly #socksEngine: SocksEngine
  readonly #task: Task
  readonly #destination: SocksDestination
  #lookup: Lookup | null = null
  #client: SocksClient | null = null

  /** `task` is the owner's. */
  constructor(engine: SocksEngine, task: Task, below: Filter, destination: SocksDestination) {
    super(engine, below)
    this.#socksEngine = engine
    this.#task = task
    this.#destination = destination
    const { kind, host } = destination
    if (kind === 'socks4a' || kind === 'socks5h') this.#begin(host)
  }

  get isResolving(): boolean {
    return this.#lookup !== null
  }

  override close(): void {
    this.#releaseLookup()
    super.close()
  }

  protected override handshakeInterest(): number {
    return this.#lookup !== null ? Interest.NONE : super.handshakeInterest()
  }

  protected override advance(now: number): FilterStatus {
    if (this.#client === null) {
      const status = this.#resolve(now)
      if (status !== FilterStatus.DONE) return status
    }
    return this.#shakeHands(this.#client as unknown as SocksClient)
  }

  #resolve(now: number): FilterStatus {
    const { kind, host, addresses, nameMaxAgeMs, nameSource } = this.#destination
    const family = kind === 'socks4' ? Family.IPV4 : (this.#destination.family ?? null)
    if (addresses) return this.#choose(addresses, family)
    const names = this.#socksEngine.facility(nameService)
    this.#lookup ??= names.lookup(host, family, this.#task, now, nameMaxAgeMs, nameSource)
    const lookup = this.#lookup
    // Run without an answer: the caller may not know what is ready, so the answer may be there all the same.
    if (lookup.state === 'pending') {
      names.poke()
      return FilterStatus.PENDING
    }
    this.#releaseLookup()
    const { error } = lookup
    if (error === null) return this.#choose(lookup.addresses, family)
    return this.fail(
      new ProxyError('RESOLVE_HOST', `could not resolve host ${host} for the proxy: ${error.code}`, error),
    )
  }

  #choose(addresses: readonly SocketAddress[], family: IpFamily | null): FilterStatus {
    const { host } = this.#destination
    const found = addresses.find((address) => family === null || address.family === family)
    if (found === undefined) {
      return this.fail(new ProxyError('RESOLVE_HOST', `host ${host} has no address that the proxy can be told`))
    }
    this.#begin(found.address)
    return FilterStatus.DONE
  }

  #begin(host: string): void {
    const { kind, port, credentials = null } = this.#destination
    const version = kind === 'socks4' || kind === 'socks4a' ? 4 : 5
    this.#client = new SocksClient({ version, host, port, credentials })
    this.offer(this.#client.output)
  }

  #shakeHands(client: SocksClient): FilterStatus {
    while (client.status === SocksStatus.PENDING) {
      if (client.output.length > 0) {
        const sent = this.flush()
        if (sent < 0) return this.#failBelow(client, sent, 'send')
        if (sent === 0) return FilterStatus.PENDING
        client.outputSent()
      }
      const received = this.#receive(client)
      if (received === -this.engine.kernel.errno.EAGAIN) return FilterStatus.PENDING
      if (received < 0) return this.#failBelow(client, received, 'recv')
      this.offer(client.output)
    }
    if (client.status === SocksStatus.DONE) return FilterStatus.DONE
    const { code, message } = client.fault as NonNullable<SocksClient['fault']>
    return this.fail(new ProxyError(code, this.#describe(message)))
  }

  /** Exactly as many bytes as the handshake has, so that none of the destination's are taken. */
  #receive(client: SocksClient): number {
    const { scratch } = this.engine
    const received = this.below.recv(scratch.id, 0, client.needed)
    if (received > 0) client.receive(scratch.bytes, 0, received)
    else if (received === 0) client.receiveEof()
    return received
  }

  #failBelow(client: SocksClient, result: number, syscall: 'send' | 'recv'): FilterStatus {
    const code = syscall === 'send' ? client.codeOfSending : client.codeOfReceiving
    return this.failBelow(
      result,
      syscall,
      (cause) => new ProxyError(code, this.#describe(`${cause.message} ${client.describeStage()}`), cause),
    )
  }

  #describe(problem: string): string {
    const { kind, host, port } = this.#destination
    return `could not connect to ${formatHostPort(host, port)} through the ${kind} proxy: ${problem}`
  }

  #releaseLookup(): void {
    if (this.#lookup !== null) this.#socksEngine.facility(nameService).release(this.#lookup)
    this.#lookup = null
  }
}
