/**
 * A part of a regular file. The sender gives it to sendfile where there is nothing but a socket below; through TLS, in
 * chunks, and for small files, which then leave together with their head, it is read. A file that became shorter
 * meanwhile cuts the response.
 */

import { SystemError } from '../../../base/errors.ts'
import { wrongRange, wrongType } from '../../../base/options.ts'
import type { Files } from '../../../sys/files.ts'
import { errnoName, systemError } from '../../../sys/system-error.ts'
import { COPIED_BYTES_MAX } from '../../connection/outbox.ts'
import { type BodySource, NO_BYTES, PieceStatus } from './body-source.ts'
import type { DescriptorBody, FileBody } from './response.ts'

const READ_BYTES = 64 * 1024
/** The outbox copies what is no longer at once, so that one memory serves all small files and last pieces. */
const shared = Buffer.allocUnsafeSlow(COPIED_BYTES_MAX)

export class FileSource implements BodySource {
  readonly fd: number
  readonly offset: number
  readonly length: number
  piece: Uint8Array = NO_BYTES
  /** The kernel cannot send this file by itself. */
  mustBeRead = false
  readonly #files: Files
  #memory: Uint8Array = NO_BYTES

  /** The descriptor is the source's, also when this throws. */
  constructor(files: Files, fd: number, body: FileBody | DescriptorBody) {
    this.#files = files
    this.fd = fd
    try {
      const size = this.#size()
      const { offset = 0, length = size - offset } = body
      if (!(Number.isSafeInteger(offset) && offset >= 0 && offset <= size)) {
        throw wrongRange('body.offset', `inside the file of ${size} bytes`, offset)
      }
      if (!(Number.isSafeInteger(length) && length >= 0 && length <= size - offset)) {
        throw wrongRange('body.length', `at most the ${size - offset} bytes from the offset on`, length)
      }
      this.offset = offset
      this.length = length
    } catch (error) {
      files.close(fd)
      throw error
    }
  }

  static open(files: Files, body: FileBody): FileSource {
    const { file } = body
    if (typeof file !== 'string') throw wrongType('body.file', 'a path', file)
    const fd = files.open(file)
    if (fd < 0) throw new SystemError(errnoName(files, fd), fd, 'open', file)
    return new FileSource(files, fd, body)
  }

  next(position: number, bytesMax: number): PieceStatus {
    const left = this.length - position
    if (left === 0) return PieceStatus.END
    const wanted = Math.min(left, bytesMax, READ_BYTES)
    const memory = wanted <= shared.length ? shared : this.#ownMemory(wanted)
    const count = this.#files.read(this.fd, memory, 0, wanted, this.offset + position)
    if (count < 0) throw systemError(this.#files, count, 'read')
    if (count === 0) throw shorter()
    this.piece = memory.subarray(0, count)
    return PieceStatus.PIECE
  }

  close(): void {
    this.piece = NO_BYTES
    this.#files.close(this.fd)
  }

  #ownMemory(length: number): Uint8Array {
    if (this.#memory.length < length) this.#memory = Buffer.allocUnsafeSlow(length)
    return this.#memory
  }

  #size(): number {
    const status = this.#files.status(this.fd)
    if (typeof status === 'number') throw systemError(this.#files, status, 'fstat')
    if (!status.isFile) throw wrongType('body', 'a regular file', 'something else')
    return status.size
  }
}

export function shorter(): Error {
  return new RangeError('option body: the file became shorter while it was sent')
}
