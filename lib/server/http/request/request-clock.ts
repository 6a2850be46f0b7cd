/**
 * When things of one connection happened, and what deadline follows: absolute ones per phase, so that a peer that drips
 * bytes gains nothing. Time in which we do not read does not count against the peer. ms by the engine's clock.
 */
import type { HttpSettings } from '../http-options.ts'

const NEVER = Number.POSITIVE_INFINITY

export class RequestClock {
  /** First byte of the request. */
  startedAt = 0
  headAt = 0
  answeredAt = 0
  /** The last byte of a body came, or we began to want it. */
  bodyMovedAt = 0
  /** The body was not wanted since then; -1: it is wanted. */
  heldSince = -1
  /** How long that was altogether, until `heldSince`. */
  heldMs = 0
  /** The peer took something of what is to be sent, or had not refused it yet. */
  sentAt = 0

  begin(now: number): void {
    this.startedAt = now
    this.answeredAt = 0
    this.heldSince = -1
    this.heldMs = 0
  }

  /** The body is left where it is. */
  hold(now: number): void {
    if (this.heldSince < 0) this.heldSince = now
  }

  goOn(now: number): void {
    if (this.heldSince < 0) return
    this.heldMs += now - this.heldSince
    this.heldSince = -1
    this.bodyMovedAt = now
  }

  headDeadline(settings: HttpSettings): number {
    const { headersMs, requestMs } = settings.timeouts
    return Math.min(after(this.startedAt, headersMs), after(this.startedAt, requestMs))
  }

  bodyDeadline(settings: HttpSettings, received: number): number {
    if (this.heldSince >= 0) return NEVER
    const { requestMs, idleMs } = settings.timeouts
    const { bodyMinRate, bodyMinRateAfterMs } = settings.limits
    let at = Math.min(after(this.startedAt + this.heldMs, requestMs), after(this.bodyMovedAt, idleMs))
    if (bodyMinRate > 0) {
      // The moment at which what was received is too little, if nothing follows.
      const enoughFor = Math.max(bodyMinRateAfterMs, (received * 1000) / bodyMinRate)
      at = Math.min(at, this.headAt + this.heldMs + enoughFor)
    }
    return at
  }

  /** Of a request whose answer is awaited. */
  handlerDeadline(settings: HttpSettings): number {
    return after(this.headAt, settings.timeouts.handlerMs)
  }

  stallDeadline(settings: HttpSettings): number {
    return after(this.sentAt, settings.timeouts.writeStallMs)
  }
}

/** Between two requests: the connection was opened at `since`, or its last request ended. */
export function idleDeadline(settings: HttpSettings, since: number, requests: number, isDraining: boolean): number {
  const { firstByteMs, keepAliveMs } = settings.timeouts
  if (isDraining) return since + settings.drainIdleMs
  return after(since, requests === 0 ? firstByteMs : keepAliveMs)
}

function after(since: number, milliseconds: number): number {
  return milliseconds === 0 ? NEVER : since + milliseconds
}
