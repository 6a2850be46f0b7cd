/**
 * What goes over a connection once it is open: the program's callbacks, a session, HTTP, a WebSocket. The machine of
 * the connection owns the stream, the one armed deadline and the end; a driver moves bytes and says what it waits for.
 * It ends the connection by `finish`, `fail` or `reset` of the machine, and hears `closed` in every case, exactly once.
 */
import type { CloseReason } from './close-reason.ts'

export interface Driver {
  /** True when nothing is expected from the outside: paused, or an answer of the program is awaited. */
  readonly dormant: boolean
  /** Between two requests: nothing is lost when it is closed to make room for another. A driver without it never is. */
  readonly idle?: boolean
  /**
   * Everything that it must remember to go on later in another object, as one integer from 0 on; -1: not now. Lets go
   * of what it holds then, and hears nothing more, `closed` included. A driver without it never is folded.
   */
  fold?(): number
  /** Instead of `open`: goes on with what another remembered. */
  unfold?(remembered: number): void
  /**
   * What is being sent goes on until the end of the connection: ended now it must be reset, so that the peer does not
   * take a part for the whole. A driver without it says where things end.
   */
  readonly openEnded?: boolean
  /**
   * Absolute, of this moment's state; Infinity for none. Asked after each run. Moving it later costs nothing: the timer
   * stays where it is and is looked at when it is due.
   */
  readonly deadline: number
  /** Called once, when the layers below are set up; `run` follows. */
  open(now: number): void
  /** As `Machine.run`. */
  run(now: number, readiness: number): void
  /** Bits of Interest. */
  wants(): number
  /** The deadline has passed. `run` follows. */
  expired(now: number): void
  /** The server takes leave: end when what is under way is done, at once when nothing is. `run` follows. */
  drain(now: number): void
  /** The program closes the connection: what was said is sent first. A driver without it ends at once. */
  close?(reason: CloseReason): void
  /** Called once, in every case: lets go of what it holds. When the host is closed, nobody outside is told. */
  closed(reason: CloseReason, error: Error | null): void
  /** The program asks for so many ms more before the present deadline. A driver without it gives none. */
  extend?(milliseconds: number, now: number): void
}
