/**
 * One run of a transfer as a machine: acquiring → exchanging → ended. It acquires a connection, exchanges, gives the
 * connection back. The only setter of the state is `#enter`. A request that a reused
 * connection did not answer begins again on a new one, when that is safe.
 */
import { type TransferCodeName, TransferError } from '../base/errors.ts'
import { TimerTable } from '../base/timer-table.ts'
import { FilterStatus } from '../connection/filter.ts'
import type { ByteStream } from '../connection/stream.ts'
import type { WebSocketSession } from '../connection/websocket-session.ts'
import type { Host } from '../multi/host.ts'
import { type InterestSet, type Machine, MachineKind } from '../multi/machine.ts'
import { attachment, type Subject } from '../multi/subject.ts'
import type { Task } from '../multi/task.ts'
import { Acquisition, type AcquisitionFailure } from './acquisition.ts'
import { withoutExpectation } from './expectation.ts'
import { FollowUp } from './follow-up.ts'
import { type ExchangeFailure, ExchangeStatus, HttpExchange } from './http-exchange.ts'
import { type Lease, LeaseState } from './lease.ts'
import type { Principal } from './principal.ts'
import { RawStream } from './raw-stream.ts'
import type { RequestPlan } from './request-plan.ts'
import type { TransferInfo } from './transfer-info.ts'
import type { TransferSettings } from './transfer-settings.ts'
import { WebSocketExchange } from './websocket-exchange.ts'

/** Beginnings on new connections after reused ones died: curl's figure. */
const RETRIES_MAX = 5
/** Methods whose requests may be sent twice (RFC 9110 §9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])

const TransferTimer = {
  /** The whole transfer took too long. */
  TOTAL: 0,
  /** No connection in time, waiting for one included. */
  CONNECT: 1,
  /** Time to see whether anything moved. */
  IDLE: 2,
  /** The connector's next attempt. */
  CONNECTOR: 3,
  /** The user wants to hear how far it is. */
  PROGRESS: 4,
  /** The exchange's rates and waits. */
  PACE: 5,
} as const
const TIMER_COUNT = 6

const State = { ACQUIRING: 0, EXCHANGING: 1, ENDED: 2 } as const
type State = (typeof State)[keyof typeof State]

/** What goes over a stream that is ready. */
type Exchange = HttpExchange | WebSocketExchange

/** The transfer as its machine sees it. */
export interface TransferOwner extends Subject, Principal {
  /** Of this run; null for other protocols. */
  readonly webSocketSession: WebSocketSession | null
  /** A raw transfer is connected, or a WebSocket with connectOnly is open: the stream is the owner's. */
  hold(raw: RawStream): void
  /** This run has ended. */
  finish(host: Host, error: TransferError | null): void
}

export class TransferMachine implements Machine {
  readonly kind: MachineKind = MachineKind.TRANSFER
  readonly timers: TimerTable = new TimerTable(TIMER_COUNT)
  readonly subject: TransferOwner
  readonly #host: Host
  readonly #settings: TransferSettings
  readonly #info: TransferInfo
  readonly #addedAt: number
  #state: State = State.ACQUIRING
  #plan: RequestPlan
  /** null: the plan is all that this transfer asks for. */
  readonly #followUp: FollowUp | null
  /** null as long as nobody asked for a connection, and where an idle one is at hand. */
  #acquisition: Acquisition | null = null
  /** No connection that was used before will do. */
  #fresh = false
  #lease: Lease | null = null
  #exchange: Exchange | null = null
  #reused = false
  /** Bytes moved when the idle timer was set. */
  #idleMark = 0
  #task!: Task

  constructor(host: Host, transfer: TransferOwner, settings: TransferSettings) {
    this.subject = transfer
    this.#host = host
    this.#settings = settings
    this.#info = transfer.info
    this.#addedAt = host.now
    this.#info.begin(host.now)
    this.#followUp = settings.needsFollowUp ? new FollowUp(settings, this.#info) : null
    this.#plan = this.#followUp?.plan ?? settings.plan
  }

  start(_now: number): void {
    this.#task = this.subject[attachment].task as Task
    const { timeoutMs, connectTimeoutMs, progressIntervalMs } = this.#settings
    // Counted from the adding: waiting to be run is part of the transfer's time.
    const from = this.#addedAt
    this.#acquire(this.#settings.freshConnect || this.#settings.connectOnly)
    if (timeoutMs > 0) this.timers.set(TransferTimer.TOTAL, from + timeoutMs)
    this.timers.set(TransferTimer.CONNECT, from + connectTimeoutMs)
    if (this.subject.callbacks.onProgress !== null) this.timers.set(TransferTimer.PROGRESS, from + progressIntervalMs)
  }

  run(now: number, readiness: number): void {
    if (this.#state === State.ACQUIRING) this.#runAcquiring(now)
    else if (this.#state === State.EXCHANGING) this.#judge((this.#exchange as Exchange).run(readiness), now)
    this.#info.totalTime = this.#info.since(now)
  }

  expired(timer: number, now: number): void {
    switch (timer) {
      case TransferTimer.TOTAL:
      case TransferTimer.CONNECT:
        this.#fail('OPERATION_TIMEDOUT', this.#describeTimeout(now))
        break
      case TransferTimer.IDLE:
        this.#checkIdle(now)
        break
      case TransferTimer.PROGRESS:
        this.timers.set(TransferTimer.PROGRESS, now + Math.max(this.#settings.progressIntervalMs, 1))
        this.#tellProgress()
        break
      // CONNECTOR and PACE: the run that follows looks at them.
    }
  }

  interest(into: InterestSet): void {
    if (this.#state === State.ACQUIRING) this.#acquisition?.interest(into)
    else if (this.#state === State.EXCHANGING && this.#exchange !== null) {
      this.#lease?.connection?.stream.interest(this.#exchange.wants(), into)
    }
  }

  /** Waiting for a slot or a name, or paused: the pool, the name service or the user will wake it. */
  get dormant(): boolean {
    return this.#acquisition?.dormant ?? this.#exchange?.dormant ?? false
  }

  abort(cause: unknown): void {
    if (this.#state === State.ENDED) return
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#end(new TransferError('ABORTED_BY_CALLBACK', `aborted: ${reason}`, cause))
  }

  /** Times out at the latest then. */
  endBy(deadline: number): void {
    if (this.#state !== State.ENDED) this.timers.set(TransferTimer.TOTAL, deadline)
  }

  #acquire(fresh: boolean): void {
    this.#fresh = fresh
    this.#enter(State.ACQUIRING)
  }

  #runAcquiring(now: number): void {
    const acquisition = this.#acquisition ?? this.#beginAcquiring(now)
    if (acquisition === null) return
    const status = acquisition.run(now)
    this.timers.set(TransferTimer.CONNECTOR, acquisition.deadline())
    if (status === FilterStatus.FAILED) {
      const { code, message, cause } = acquisition.failure as AcquisitionFailure
      this.#fail(code, message, cause)
    } else if (status === FilterStatus.DONE) this.#established(acquisition.take(), acquisition.reused, now)
  }

  /** null: an idle connection was at hand, and nothing had to be acquired. */
  #beginAcquiring(now: number): Acquisition | null {
    const host = this.#host
    const settings = this.#settings
    const plan = this.#plan
    const pool = host.facility(settings.pool)
    const lease = pool.request(this.#task, plan.poolKey, this.#fresh, now, settings.connection.reuse)
    if (lease.state === LeaseState.CONNECTION && plan.route.tls === null) {
      this.#info.queueTime = this.#info.since(now)
      this.#established(lease, true, now)
      return null
    }
    this.#acquisition = new Acquisition(host, this.#task, settings, plan, this.subject, lease)
    return this.#acquisition
  }

  /** There is a stream: new, or from the pool. */
  #established(lease: Lease, reused: boolean, now: number): void {
    this.#lease = lease
    this.#acquisition = null
    this.#reused = reused
    const stream = lease.connection?.stream as ByteStream
    const info = this.#info
    this.timers.clear(TransferTimer.CONNECT)
    info.preTransferTime = info.since(now)
    info.connectionId = stream.id
    info.authUsed = this.#plan.authUsed
    this.#rememberAddresses(stream)
    this.#debug(`${this.#reused ? 'reusing' : 'established'} connection ${stream.id}`)
    const { webSocketSession } = this.subject
    if (this.#settings.connectOnly && webSocketSession === null) {
      this.#giveToOwner()
      return
    }
    const host = this.#host
    const settings = this.#settings
    const plan = this.#plan
    const followUp = this.#followUp
    this.#exchange =
      webSocketSession === null
        ? new HttpExchange(host, stream, settings, plan, this.subject, followUp)
        : new WebSocketExchange(host, stream, settings, plan, this.subject, followUp, webSocketSession)
    this.#enter(State.EXCHANGING)
    if (this.#settings.idleTimeoutMs > 0) this.timers.set(TransferTimer.IDLE, now + this.#settings.idleTimeoutMs)
    this.#judge(this.#exchange.start(), now)
  }

  /** connectOnly: the transfer is done, and the stream serves nobody else. */
  #giveToOwner(): void {
    const lease = this.#lease as Lease
    this.#info.activeSocket = lease.connection?.stream.fd ?? -1
    this.subject.hold(new RawStream(this.#host, lease))
    this.#lease = null
    this.#end(null)
  }

  #judge(status: ExchangeStatus, now: number): void {
    const exchange = this.#exchange as Exchange
    const info = this.#info
    if (exchange.sent && info.postTransferTime === 0) info.postTransferTime = this.#info.since(now)
    if (exchange.answered && info.startTransferTime === 0) info.startTransferTime = this.#info.since(now)
    if (exchange.isPaced) this.timers.set(TransferTimer.PACE, exchange.deadline())
    if (status === ExchangeStatus.DONE) this.#exchangeDone(exchange, now)
    else if (status === ExchangeStatus.YIELDED) this.#host.markDirty(this.#task)
    else if (status === ExchangeStatus.FAILED) this.#exchangeFailed(exchange, now)
  }

  /** The response is complete, or enough of it: the next request, if one follows. */
  #exchangeDone(exchange: Exchange, now: number): void {
    if (exchange.expectationRefused) {
      this.#debug('the server takes no expectation; asking again without')
      this.#plan = withoutExpectation(this.#plan)
      this.#beginAgain(false, false, now)
      return
    }
    if (exchange instanceof WebSocketExchange && exchange.isOpen) {
      if (this.#settings.connectOnly) this.#giveToOwner()
      else this.#end(null)
      return
    }
    const followUp = this.#followUp
    if (followUp === null) {
      this.#end(null)
      return
    }
    if (followUp.failure !== null) {
      this.#fail(followUp.failure.code, followUp.failure.message)
      return
    }
    if (followUp.problem !== '') this.#debug(followUp.problem)
    const plan = followUp.next()
    if (plan === null) {
      this.#end(null)
      return
    }
    if (plan.body !== null && exchange.pulled && !this.#rewindBody()) {
      this.#fail('SEND_FAIL_REWIND', 'the body is needed again and cannot be rewound')
      return
    }
    this.#debug(`asking again: ${plan.method} ${plan.url.origin}`)
    this.#plan = plan
    this.#info.beginNext(plan.url.href, plan.method, now)
    this.#beginAgain(exchange.reusable && !this.#settings.forbidReuse, false, now)
  }

  #rewindBody(): boolean {
    const { rewindBody } = this.#settings
    return rewindBody !== null && rewindBody() !== false
  }

  /** Another acquisition; what was moved so far says nothing about whether the next exchange moves. */
  #beginAgain(reusable: boolean, fresh: boolean, now: number): void {
    this.#letGo(reusable)
    this.#idleMark = -1
    this.timers.clear(TransferTimer.IDLE)
    this.timers.clear(TransferTimer.PACE)
    this.timers.set(TransferTimer.CONNECT, now + this.#settings.connectTimeoutMs)
    this.#acquire(fresh)
    this.#host.markDirty(this.#task)
  }

  #exchangeFailed(exchange: Exchange, now: number): void {
    const { code, message, cause } = exchange.failure as ExchangeFailure
    const connectionDied = code === 'GOT_NOTHING' || code === 'SEND_ERROR' || code === 'RECV_ERROR'
    const isSafe = exchange.untouched || this.#settings.isRepeatable || IDEMPOTENT.has(this.#plan.method)
    const mayRetry = this.#reused && connectionDied && !exchange.answered && isSafe && this.#info.retries < RETRIES_MAX
    if (!mayRetry || (exchange.pulled && !this.#rewindBody())) {
      this.#fail(code, message, cause)
      return
    }
    this.#debug('the reused connection died before it answered; beginning again on a new one')
    this.#info.retries++
    this.#info.bytesSent = 0
    this.#beginAgain(false, true, now)
  }

  /**
   * Nothing moved since the timer was set, or it is set again from the last move: one look per period, none per byte.
   */
  #checkIdle(now: number): void {
    const { idleTimeoutMs } = this.#settings
    const moved = this.#info.bytesReceived + this.#info.bytesSent + this.#info.headBytes
    const exchange = this.#exchange as Exchange
    const { flow } = this.subject
    // Time that the user took does not count, nor what was left of the period when it ended.
    const isPaused = exchange.dormant || (flow.sendPaused && !exchange.sent) || flow.resumed
    flow.resumed = false
    if (moved === this.#idleMark && !isPaused) {
      this.#fail('OPERATION_TIMEDOUT', `no byte moved for ${idleTimeoutMs} ms, ${this.#describeBytes()}`)
      return
    }
    this.#idleMark = moved
    this.timers.set(TransferTimer.IDLE, now + idleTimeoutMs)
  }

  #fail(code: TransferCodeName, message: string, cause?: unknown): void {
    this.#end(new TransferError(code, message, cause))
  }

  /** The only end. What the user's last callbacks throw is the error, unless there was one. */
  #end(error: TransferError | null): void {
    if (this.#state === State.ENDED) return
    this.#enter(State.ENDED)
    this.timers.clearAll()
    if (error !== null || !this.#settings.connectOnly) this.subject.webSocketSession?.close()
    this.#letGo(error === null && (this.#exchange?.reusable ?? false) && !this.#settings.forbidReuse)
    this.#info.totalTime = this.#info.since(this.#host.now)
    // Of a transfer that was removed, or whose Multi was closed, nobody is told anything.
    if (this.#host.closed || this.subject[attachment].task === null) return
    this.subject.finish(this.#host, this.#tellEnd(error))
  }

  #tellEnd(error: TransferError | null): TransferError | null {
    let ending = error
    try {
      this.#tellProgress()
    } catch (cause) {
      ending ??= new TransferError('ABORTED_BY_CALLBACK', 'aborted: onProgress threw', cause)
    }
    try {
      this.#debug(ending === null ? 'done' : `failed: ${ending.message}`)
    } catch (cause) {
      ending ??= new TransferError('ABORTED_BY_CALLBACK', 'aborted: onDebug threw', cause)
    }
    return ending
  }

  #letGo(reusable: boolean): void {
    this.#acquisition?.abort()
    this.#acquisition = null
    this.#exchange?.close()
    this.#exchange = null
    if (this.#lease !== null) this.#host.facility(this.#settings.pool).giveBack(this.#lease, reusable, this.#host.now)
    this.#lease = null
  }

  #enter(state: State): void {
    this.#state = state
  }

  #rememberAddresses(stream: ByteStream): void {
    const info = this.#info
    const { peer, local } = stream
    info.primaryAddress = peer?.address ?? ''
    info.primaryPort = peer?.port ?? 0
    info.localAddress = local?.address ?? ''
    info.localPort = local?.port ?? 0
  }

  #tellProgress(): void {
    const { callbacks } = this.subject
    if (callbacks.onProgress === null) return
    const { bytesReceived, contentLength, bytesSent } = this.#info
    callbacks.onProgress({
      bytesReceived,
      bytesToReceive: contentLength,
      bytesSent,
      bytesToSend: this.#plan.bodyLength,
    })
  }

  /** curl's wording: a timeout says in which phase it struck. */
  #describeTimeout(now: number): string {
    const elapsed = `after ${Math.round(now - this.#addedAt)} ms`
    if (this.#state === State.ACQUIRING && this.#acquisition === null) return `Connection timed out ${elapsed}`
    return this.#acquisition?.describe(elapsed) ?? `Operation timed out ${elapsed} ${this.#describeBytes()}`
  }

  #describeBytes(): string {
    const { bytesReceived, contentLength } = this.#info
    return `with ${bytesReceived}${contentLength < 0 ? '' : ` out of ${contentLength}`} bytes received`
  }

  #debug(text: string): void {
    this.subject.callbacks.onDebug?.('text', text, this.#info)
  }
}
