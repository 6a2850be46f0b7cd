/** What the system refuses when a server begins to listen, in words that say what to do. */
import { SystemError } from '../index.ts'

const PRIVILEGED_PORT_MAX = 1023

export function listenProblem(error: unknown): Error {
  if (!(error instanceof SystemError)) return error as Error
  const { code, address = '', port } = error
  const where = port === undefined ? address.replace('\0', '@') : `${address}:${port}`
  return new Error(`cannot listen on ${where}: ${adviceOn(code, port)} (${code})`)
}

function adviceOn(code: string, port: number | undefined): string {
  const isPath = port === undefined
  switch (code) {
    case 'EADDRINUSE':
      if (isPath) return 'something is there already; stop it, or choose another path with --unix'
      return 'the port is in use; choose another one with --port, or 0 for any that is free'
    case 'EACCES':
      if (isPath) return 'the directory may not be written'
      if (port <= PRIVILEGED_PORT_MAX) return 'ports below 1024 need privileges; choose another one with --port'
      return 'it is not allowed'
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address; see --host'
    case 'ENOENT':
      return 'the directory of the socket is missing; make it first'
    case 'ENAMETOOLONG':
      return 'the path is too long for a socket; choose a shorter one with --unix'
    default:
      return 'the system refuses it'
  }
}
