/**
 * A readiness backend as a contract: level-triggered unless asked otherwise. A hang-up is reported as READABLE (a read
 * then tells end of stream), an error as ERROR together with every direction that was asked for. Spurious readiness is
 * allowed; the system call decides.
 */
export type PollerBackend = 'epoll' | 'kqueue' | 'poll'

export interface PollerAddOptions {
  /** Report once per change (EPOLLET, EV_CLEAR). Refused by the backend 'poll'. */
  edgeTriggered?: boolean
  /** Report once, then stay silent until `modify`. */
  oneShot?: boolean
  /** EPOLLEXCLUSIVE: wake one of the pollers that watch this descriptor. Refused where the platform has none. */
  exclusive?: boolean
}

export interface PollerOptions {
  /** Default: the platform's best. */
  backend?: PollerBackend
  /** Most [fd, readiness] pairs that one wait reports. Default 1024. */
  capacity?: number
}

export interface PollerLike {
  readonly backend: string
  /** The backend's own descriptor, pollable, so that it nests in another loop; -1 for 'poll'. */
  readonly fd: number
  /** [fd, readiness] pairs, filled by `wait`. Borrowed: valid until the next `wait`. */
  readonly ready: Int32Array
  /**
   * Throws a SystemError (EBADF, EPERM, …) when the descriptor cannot be watched. A descriptor already there is
   * modified.
   */
  add(fd: number, interest: number, options?: PollerAddOptions): void
  /** Adds what is not there. A descriptor that is already closed is not an error. */
  modify(fd: number, interest: number): void
  /** A descriptor that is not there, or already closed, is not an error. */
  remove(fd: number): void
  /** Pairs written to `ready`; 0 after timeoutMs (rounded up), a wakeup, or a signal. -1 waits for ever. */
  wait(timeoutMs: number): number
  /** From any thread of this process that holds the same Poller: the current or the next `wait` returns. */
  wakeup(): void
  close(): void
}
