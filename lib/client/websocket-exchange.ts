/**
 * The exchange of a WebSocket transfer: a request that is answered with 101, then the session on the same stream. Any
 * other answer ends it as soon as its head is read, unless another request follows, as after a challenge.
 */
import type { TransferCodeName } from '../base/errors.ts'
import type { ByteStream } from '../connection/stream.ts'
import { Reading, type WebSocketSession } from '../connection/websocket-session.ts'
import type { Host } from '../multi/host.ts'
import { newKey } from '../wire/websocket/handshake.ts'
import type { FollowUp } from './follow-up.ts'
import { type ExchangeFailure, ExchangeStatus, HttpExchange } from './http-exchange.ts'
import type { Principal } from './principal.ts'
import type { RequestPlan } from './request-plan.ts'
import type { TransferSettings } from './transfer-settings.ts'
import type { WebSocketSettings } from './websocket-settings.ts'
import { readAgreement, withKey } from './websocket-upgrade.ts'

const SWITCHING_PROTOCOLS = 101

export class WebSocketExchange {
  failure: ExchangeFailure | null = null
  readonly expectationRefused: boolean = false
  readonly isPaced: boolean = true
  readonly #stream: ByteStream
  readonly #settings: WebSocketSettings
  readonly #followUp: FollowUp | null
  readonly #session: WebSocketSession
  readonly #key: string
  readonly #upgrade: HttpExchange
  /** The session is the stream's user. */
  #isOpen = false

  constructor(
    host: Host,
    stream: ByteStream,
    settings: TransferSettings,
    plan: RequestPlan,
    principal: Principal,
    followUp: FollowUp | null,
    session: WebSocketSession,
  ) {
    this.#stream = stream
    this.#settings = settings.webSocket as WebSocketSettings
    this.#followUp = followUp
    this.#session = session
    this.#key = newKey(this.#settings.random)
    this.#upgrade = new HttpExchange(host, stream, settings, withKey(plan, this.#key), principal, followUp)
  }

  start(): ExchangeStatus {
    return this.#judge(this.#upgrade.start(), 0)
  }

  run(readiness: number): ExchangeStatus {
    return this.#isOpen ? this.#runSession(readiness) : this.#judge(this.#upgrade.run(readiness), readiness)
  }

  wants(): number {
    return this.#isOpen ? this.#session.wants() : this.#upgrade.wants()
  }

  get dormant(): boolean {
    return this.#isOpen ? this.#session.dormant : this.#upgrade.dormant
  }

  deadline(): number {
    return this.#isOpen ? this.#session.deadline() : this.#upgrade.deadline()
  }

  get reusable(): boolean {
    return !this.#isOpen && this.#upgrade.reusable
  }

  get sent(): boolean {
    return this.#upgrade.sent
  }

  get answered(): boolean {
    return this.#upgrade.answered
  }

  get untouched(): boolean {
    return this.#upgrade.untouched
  }

  get pulled(): boolean {
    return false
  }

  /** After DONE: the session was opened, and is over unless the user runs it. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** The session is the transfer's to close. */
  close(): void {
    this.#upgrade.close()
  }

  #judge(status: ExchangeStatus, readiness: number): ExchangeStatus {
    if (status === ExchangeStatus.FAILED) {
      this.failure = this.#upgrade.failure
      return status
    }
    const { status: answer } = this.#upgrade
    if (answer !== 0 && answer !== SWITCHING_PROTOCOLS && !this.#isToBeContinued()) {
      return this.#fail('HTTP_RETURNED_ERROR', `the server refused the upgrade with status ${answer}`)
    }
    if (status !== ExchangeStatus.DONE || answer !== SWITCHING_PROTOCOLS) return status
    return this.#open(readiness)
  }

  #isToBeContinued(): boolean {
    const followUp = this.#followUp
    return followUp !== null && (followUp.follows || followUp.failure !== null)
  }

  #open(readiness: number): ExchangeStatus {
    const agreement = readAgreement(this.#upgrade.headers, this.#key, this.#settings)
    if (typeof agreement === 'string') return this.#fail('WEIRD_SERVER_REPLY', `invalid upgrade: ${agreement}`)
    if (!this.#upgrade.sent) return this.#fail('WEIRD_SERVER_REPLY', 'the server upgrades what it has not read')
    if (!this.#session.open(this.#stream, agreement, this.#upgrade.takeRest())) {
      return this.#fail('OUT_OF_MEMORY', 'no memory for a decompressor')
    }
    this.#isOpen = true
    return this.#settings.isManual ? ExchangeStatus.DONE : this.#runSession(readiness)
  }

  #runSession(readiness: number): ExchangeStatus {
    switch (this.#session.run(readiness)) {
      case Reading.ENDED:
        return ExchangeStatus.DONE
      case Reading.FAILED:
        this.failure = this.#session.failure
        return ExchangeStatus.FAILED
      case Reading.YIELDED:
        return ExchangeStatus.YIELDED
      default:
        return ExchangeStatus.PENDING
    }
  }

  #fail(code: TransferCodeName, message: string): ExchangeStatus {
    this.failure = { code, message }
    return ExchangeStatus.FAILED
  }
}
