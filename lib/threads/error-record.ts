/**
 * Errors on their way to another thread: plain data with the name, the stack, the cause and the fields that a program
 * looks at (`code`, `errno`, …), which a structured clone would lose. What arrives is of the same class again where the
 * class is one of ours.
 */
import { type MultiCodeName, MultiError, SystemError } from '../base/errors.ts'
import { PanicError } from '../server/panic.ts'
import { ServerError, type ServerErrorCode } from '../server/server-error.ts'

export interface ErrorRecord {
  readonly name: string
  readonly message: string
  readonly stack: string
  readonly fields: Readonly<Record<string, string | number | boolean>>
  readonly cause: ErrorRecord | null
}

/** Causes of causes that travel along. */
const CAUSES_MAX = 4

export function packError(thrown: unknown, depth = 0): ErrorRecord {
  if (!(thrown instanceof Error)) {
    return { name: 'Error', message: String(thrown), stack: `Error: ${String(thrown)}`, fields: {}, cause: null }
  }
  const fields: Record<string, string | number | boolean> = {}
  for (const [key, value] of Object.entries(thrown)) {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') fields[key] = value
  }
  const hasCause = thrown.cause !== undefined && depth < CAUSES_MAX
  return {
    name: String(thrown.name),
    message: String(thrown.message),
    stack: String(thrown.stack),
    fields,
    cause: hasCause ? packError(thrown.cause, depth + 1) : null,
  }
}

export function unpackError(record: ErrorRecord): Error {
  const error = construct(record)
  if (error.name !== record.name) error.name = record.name
  Object.defineProperty(error, 'stack', { value: record.stack, writable: true, configurable: true })
  if (record.cause !== null && error.cause === undefined) {
    Object.defineProperty(error, 'cause', { value: unpackError(record.cause), writable: true, configurable: true })
  }
  return Object.assign(error, record.fields)
}

function construct({ name, message, fields, cause }: ErrorRecord): Error {
  const text = (field: string): string => String(fields[field] ?? '')
  switch (name) {
    case 'SystemError': {
      const { address, port } = fields
      const where = address === undefined ? [] : [String(address), ...(port === undefined ? [] : [Number(port)])]
      return new SystemError(text('code'), Number(fields['errno']), text('syscall'), ...(where as [string?, number?]))
    }
    case 'ServerError':
      return new ServerError(text('code') as ServerErrorCode, message)
    case 'MultiError':
      return new MultiError(text('code') as MultiCodeName, message)
    case 'PanicError':
      return new PanicError(text('operation'), cause === null ? message : unpackError(cause))
    case 'TypeError':
      return new TypeError(message)
    case 'RangeError':
      return new RangeError(message)
    default:
      return new Error(message)
  }
}
