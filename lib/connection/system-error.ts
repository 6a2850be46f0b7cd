/**
 * From -errno, as the kernel answers, to the SystemError that a user sees. Only failing paths come here, so the name is
 * searched in the table instead of being kept in a second one.
 */
import { SystemError } from '../base/errors.ts'
import { ERRNO_NAMES, type Kernel, type SocketAddress } from '../sys/kernel.ts'

/** The name of a negative errno; 'UNKNOWN' when the platform has errors that the table does not name. */
export function errnoName(kernel: Pick<Kernel, 'errno'>, result: number): string {
  for (const name of ERRNO_NAMES) if (result < 0 && kernel.errno[name] === -result) return name
  return 'UNKNOWN'
}

export function systemError(
  kernel: Pick<Kernel, 'errno'>,
  result: number,
  syscall: string,
  address?: SocketAddress,
): SystemError {
  const name = errnoName(kernel, result)
  if (address === undefined) return new SystemError(name, result, syscall)
  // An abstract unix name begins with a NUL, which is written as '@' by custom.
  const text = address.address.startsWith('\0') ? `@${address.address.slice(1)}` : address.address
  return new SystemError(name, result, syscall, text, address.port)
}
