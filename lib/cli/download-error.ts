/** Why a download failed, in curl's words and numbers, whether the transfer found out or this side. */
import { TransferCode, type TransferCodeName, type TransferError } from '../index.ts'

export class DownloadError extends Error {
  readonly code: TransferCodeName
  readonly number: number
  constructor(code: TransferCodeName, message: string) {
    super(message)
    this.name = 'DownloadError'
    this.code = code
    this.number = TransferCode[code]
  }
}

/** What a callback of ours threw comes back as the cause of an abort. */
export function downloadError(error: TransferError): DownloadError {
  if (error.cause instanceof DownloadError) return error.cause
  return new DownloadError(error.code, error.message)
}

/** What the file system answered; `path` stands in front. */
export function writeError(path: string, error: unknown): DownloadError {
  const { code = '', message } = error as NodeJS.ErrnoException
  const reason = /^[A-Z0-9]+: (.*?)(?:, [a-z]+.*)?$/.exec(message)?.[1] ?? message
  return new DownloadError('WRITE_ERROR', `${path}: ${reason}${code === '' ? '' : ` (${code})`}`)
}
