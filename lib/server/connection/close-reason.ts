/** Why a connection of a server ended: a closed list, so that a program can tell its own doing from the peer's. */
export const CLOSE_REASONS = [
  /** The program or the protocol was done with it. */
  'done',
  /** The peer closed first. */
  'peer',
  /** The connection broke, or the peer broke the protocol: see the error. */
  'error',
  /** A deadline passed. */
  'timeout',
  /** The server drains or stops, or its Multi was closed. */
  'shutdown',
  /** Refused by a limit or by the policy, after it was accepted. */
  'policy',
  /** The program asked for a reset, or one of its callbacks threw. */
  'aborted',
  /** The descriptor belongs to somebody else now. */
  'handed-over',
] as const
export type CloseReason = (typeof CLOSE_REASONS)[number]
