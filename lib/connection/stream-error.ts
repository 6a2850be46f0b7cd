/**
 * What -errno of a stream means in curl's words. A layer that failed by itself, as TLS, knows better than the number.
 */
import { type TransferCodeName, TransferError } from '../base/errors.ts'
import type { Kernel } from '../sys/kernel.ts'
import { systemError } from '../sys/system-error.ts'
import type { ByteStream } from './stream.ts'

export function streamError(
  kernel: Pick<Kernel, 'errno'>,
  stream: ByteStream,
  result: number,
  code: TransferCodeName,
  syscall: string,
): TransferError {
  const { failure } = stream
  if (failure instanceof TransferError) return failure
  const cause = systemError(kernel, result, syscall, stream.peer ?? undefined)
  const verb = syscall === 'recv' ? 'receiving' : syscall === 'send' ? 'sending' : syscall
  return new TransferError(code, `${verb} failed: ${cause.message}`, cause)
}
