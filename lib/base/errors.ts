/**
 * The one table of errors, and the three kinds there are. Misuse throws at once: TypeError, RangeError, or MultiError
 * for a call at the wrong moment. What the operating system answers is a SystemError. What ends a transfer is a
 * TransferError with curl's CURLcode: `number` is the value, `code` its name, `cause` the error beneath it.
 */

/** CURLcode, by name. Numbers are curl's. */
export const TransferCode = {
  OK: 0,
  UNSUPPORTED_PROTOCOL: 1,
  URL_MALFORMAT: 3,
  COULDNT_RESOLVE_PROXY: 5,
  COULDNT_RESOLVE_HOST: 6,
  COULDNT_CONNECT: 7,
  WEIRD_SERVER_REPLY: 8,
  PARTIAL_FILE: 18,
  HTTP_RETURNED_ERROR: 22,
  WRITE_ERROR: 23,
  READ_ERROR: 26,
  OUT_OF_MEMORY: 27,
  OPERATION_TIMEDOUT: 28,
  RANGE_ERROR: 33,
  SSL_CONNECT_ERROR: 35,
  ABORTED_BY_CALLBACK: 42,
  BAD_FUNCTION_ARGUMENT: 43,
  INTERFACE_FAILED: 45,
  TOO_MANY_REDIRECTS: 47,
  GOT_NOTHING: 52,
  SEND_ERROR: 55,
  RECV_ERROR: 56,
  SSL_CERTPROBLEM: 58,
  SSL_CIPHER: 59,
  PEER_FAILED_VERIFICATION: 60,
  BAD_CONTENT_ENCODING: 61,
  FILESIZE_EXCEEDED: 63,
  SEND_FAIL_REWIND: 65,
  LOGIN_DENIED: 67,
  SSL_CACERT_BADFILE: 77,
  SSL_SHUTDOWN_FAILED: 80,
  AGAIN: 81,
  SSL_CRL_BADFILE: 82,
  SSL_ISSUER_ERROR: 83,
  SSL_PINNEDPUBKEYNOTMATCH: 90,
  SSL_INVALIDCERTSTATUS: 91,
  RECURSIVE_API_CALL: 93,
  PROXY: 97,
  SSL_CLIENTCERT: 98,
  TOO_LARGE: 100,
} as const
export type TransferCodeName = keyof typeof TransferCode
export type TransferCode = (typeof TransferCode)[TransferCodeName]

/** CURLMcode, by name: a call to a Multi at the wrong moment or with a wrong subject. */
export const MultiCode = {
  BAD_HANDLE: 1,
  BAD_EASY_HANDLE: 2,
  BAD_SOCKET: 5,
  ADDED_ALREADY: 7,
  RECURSIVE_API_CALL: 8,
  ABORTED_BY_CALLBACK: 11,
} as const
export type MultiCodeName = keyof typeof MultiCode

export class MultiError extends Error {
  readonly code: MultiCodeName
  readonly number: number
  constructor(code: MultiCodeName, message: string) {
    super(message)
    this.name = 'MultiError'
    this.code = code
    this.number = MultiCode[code]
  }
}

/** What the operating system answered. Fields are spelled as Node spells them; `errno` is negative, as libuv's. */
export class SystemError extends Error {
  readonly code: string
  readonly errno: number
  readonly syscall: string
  readonly address?: string
  readonly port?: number
  constructor(code: string, errno: number, syscall: string, address?: string, port?: number) {
    const where = address === undefined ? '' : port ? ` ${address}:${port}` : ` ${address}`
    super(`${syscall} ${code}${where}`)
    this.name = 'SystemError'
    this.code = code
    this.errno = errno
    this.syscall = syscall
    if (address !== undefined) this.address = address
    if (port) this.port = port
  }
}

/** Why a transfer ended without success. System fields are repeated from `cause`, so one look is enough. */
export class TransferError extends Error {
  readonly code: TransferCodeName
  readonly number: TransferCode
  readonly errno?: number
  readonly syscall?: string
  readonly address?: string
  readonly port?: number
  constructor(code: TransferCodeName, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'TransferError'
    this.code = code
    this.number = TransferCode[code]
    if (cause instanceof SystemError) {
      this.errno = cause.errno
      this.syscall = cause.syscall
      if (cause.address !== undefined) this.address = cause.address
      if (cause.port !== undefined) this.port = cause.port
    }
  }
}
