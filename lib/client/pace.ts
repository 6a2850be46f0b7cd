/**
 * What needs a clock while one exchange goes on: rates of both directions, the speed check, the wait for 100 Continue
 * and for the head of the response. One deadline outward. Made only for exchanges that need one of them.
 */
import type { PaceRules } from './body-settings.ts'
import { Expectation } from './expectation.ts'
import { RateLimit } from './rate-limit.ts'
import { SpeedCheck } from './speed-check.ts'

const NEVER = Number.POSITIVE_INFINITY

export class Pace {
  readonly receiving: RateLimit | null
  readonly sending: RateLimit | null
  expectation: Expectation = Expectation.NONE
  /** The last check looked at the speed. */
  looked = false
  readonly #speed: SpeedCheck | null
  readonly #responseTimeoutMs: number
  #responseDeadline = NEVER
  #expectDeadline = NEVER

  constructor(rules: PaceRules | null, now: number) {
    const { maxRecvSpeed = 0, maxSendSpeed = 0, lowSpeedLimit = 0, lowSpeedTimeMs = 0 } = rules ?? {}
    this.receiving = maxRecvSpeed > 0 ? new RateLimit(maxRecvSpeed, now) : null
    this.sending = maxSendSpeed > 0 ? new RateLimit(maxSendSpeed, now) : null
    this.#speed = lowSpeedLimit > 0 ? new SpeedCheck(lowSpeedLimit, lowSpeedTimeMs, now) : null
    this.#responseTimeoutMs = rules?.serverResponseTimeoutMs ?? 0
  }

  /** The head is sent: the body waits until then at the longest. */
  waitForContinue(until: number): void {
    if (this.expectation === Expectation.WAITING && this.#expectDeadline === NEVER) this.#expectDeadline = until
  }

  /** The server answered, or the time is over. */
  endExpectation(expectation: Expectation): void {
    this.expectation = expectation
    this.#expectDeadline = NEVER
  }

  get receiveHeld(): boolean {
    return this.receiving !== null && this.receiving.heldUntil !== NEVER
  }

  get sendHeld(): boolean {
    return this.sending !== null && this.sending.heldUntil !== NEVER
  }

  /** When the exchange must run although nothing became ready. A direction that is paused has no need to be woken. */
  deadline(receivePaused: boolean, sendPaused: boolean): number {
    let next = Math.min(this.#expectDeadline, this.#responseDeadline)
    if (this.#speed !== null) next = Math.min(next, this.#speed.deadline)
    if (this.receiving !== null && !receivePaused) next = Math.min(next, this.receiving.heldUntil)
    if (this.sending !== null && !sendPaused) next = Math.min(next, this.sending.heldUntil)
    return next
  }

  /**
   * Looks at what is due; the complaint of a timeout, or null. `awaitsHead`: the request was sent and no head is here.
   * `rests`: nothing can move because of the user.
   */
  check(now: number, moved: number, awaitsHead: boolean, receivePaused: boolean, rests: boolean): string | null {
    if (now >= this.#expectDeadline) this.endExpectation(Expectation.NONE)
    this.looked = this.#speed !== null && now >= this.#speed.deadline
    if (this.#speed?.look(now, moved, rests)) return this.#speed.complaint
    if (this.#responseTimeoutMs === 0) return null
    if (!awaitsHead) this.#responseDeadline = NEVER
    else if (this.#responseDeadline === NEVER || receivePaused) this.#responseDeadline = now + this.#responseTimeoutMs
    else if (now >= this.#responseDeadline)
      return `no response head within ${this.#responseTimeoutMs} ms of the request`
    return null
  }
}
