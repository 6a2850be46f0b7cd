/**
 * The states of a server and the ways between them, as a table. A step that the table does not have is a mistake of
 * ours and throws.
 */
export type ServerState =
  | 'idle'
  | 'starting'
  | 'listening'
  /** Listens, and takes nobody for now. */
  | 'suspended'
  /** Takes nobody any more; its connections live on, or come to their end one by one. */
  | 'draining'
  /** Everything is being closed. */
  | 'stopping'
  | 'stopped'
  /** A listener failed for good; its connections live on until `stop`. */
  | 'faulted'

const NEXT: Readonly<Record<ServerState, readonly ServerState[]>> = {
  idle: ['starting'],
  starting: ['listening', 'idle', 'stopped'],
  listening: ['suspended', 'draining', 'stopping', 'faulted'],
  suspended: ['listening', 'draining', 'stopping', 'faulted'],
  draining: ['stopping', 'faulted'],
  stopping: ['stopped', 'starting', 'faulted'],
  stopped: ['starting'],
  faulted: ['draining', 'faulted'],
}

export function checkTransition(from: ServerState, to: ServerState): void {
  if (!NEXT[from].includes(to)) throw new Error(`a server never goes from ${from} to ${to}`)
}
