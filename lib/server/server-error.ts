/**
 * What a verb of a server answers when it cannot be done: `code` says why. Wrong options are TypeErrors and
 * RangeErrors, what the system answers is a SystemError.
 */
export type ServerErrorCode =
  /** The server is not in a state in which this can be done. */
  | 'WRONG_STATE'
  /** Admission turned the descriptor away; it was closed. */
  | 'REFUSED'
  /** The limit of connections is higher than that of descriptors: a warning, told by `onError` when it starts. */
  | 'DESCRIPTORS'
  /** It was not done in the time that was given. */
  | 'TIMEOUT'
  /** The thread that should have done it has ended. */
  | 'GONE'

export class ServerError extends Error {
  readonly code: ServerErrorCode
  constructor(code: ServerErrorCode, message: string) {
    super(message)
    this.name = 'ServerError'
    this.code = code
  }
}
