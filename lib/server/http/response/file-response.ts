/**
 * The answer to a request for one file: whole, a range of it, several ranges, "you have it already", or why not. The
 * path is the program's to decide on: nothing of the request's target is looked at here.
 */
import { checkOptions, isBoolean, isFunction, isInteger, isObject, isText, wrongRange } from '../../../base/options.ts'
import { defaults } from '../../../sys/defaults.ts'
import type { FileStatus, Files } from '../../../sys/files.ts'
import { systemError } from '../../../sys/system-error.ts'
import type { HeaderList } from '../../../wire/http1/header-list.ts'
import { allowsRange, checkConditions, httpDate, type Validators, Verdict } from './conditional.ts'
import { contentTypeOf } from './content-types.ts'
import { multipartRanges } from './multipart-ranges.ts'
import { contentRange, parseRange, RANGES_MAX } from './range.ts'
import type { HttpResponse } from './response.ts'
import { reasonOf } from './response-head.ts'

/** What is looked at in a request. */
export interface FileRequest {
  readonly method: string
  readonly headers: HeaderList
}

export interface FileResponseOptions {
  /** Default: by the ending of the path. */
  readonly contentType?: string
  /** From size and time of the last change: 'strong', 'weak', or false for none. Default 'strong'. */
  readonly etag?: 'strong' | 'weak' | false
  /** Send Last-Modified. Default true. */
  readonly lastModified?: boolean
  /** Answer ranges. Default true. */
  readonly ranges?: boolean
  /** Ranges of one request; to a request for more the whole is sent. Default 16. */
  readonly rangesMax?: number
  /** Further fields of 200, 206 and 304, as Cache-Control. */
  readonly headers?: Readonly<Record<string, string>>
  /** Where the file is. Default: node:fs. It must be that of the Multi. */
  readonly files?: Files
}

const RANGES_LIMIT = 1000
/** Files whose versions are remembered; above, they are all forgotten. */
const VERSIONS_MAX = 1024

const CHECKS = {
  contentType: isText,
  etag: (option: string, value: unknown): void => {
    if (value !== 'strong' && value !== 'weak' && value !== false) {
      throw wrongRange(option, "'strong', 'weak' or false", value)
    }
  },
  lastModified: isBoolean,
  ranges: isBoolean,
  rangesMax: isInteger(1, RANGES_LIMIT),
  headers: isObject,
  files: (option: string, value: unknown): void => {
    isObject(option, value)
    isFunction(`${option}.open`, (value as Files).open)
  },
}

/** Opens the file now; it is closed with the response, which must be sent. Throws a SystemError, as for EMFILE. */
export function fileResponse(request: FileRequest, path: string, options: FileResponseOptions = {}): HttpResponse {
  checkOptions('fileResponse options', options, CHECKS)
  isText('path', path)
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, { allow: 'GET, HEAD' })
  const files = options.files ?? defaults.files
  // A path that no system call takes is that of no file.
  const fd = path.includes('\0') ? -files.errno.ENOENT : files.open(path)
  if (fd < 0) return missing(files, fd)
  try {
    const status = files.status(fd)
    if (typeof status === 'number') throw systemError(files, status, 'fstat')
    const response = status.isFile ? found(request, path, options, files, fd, status) : plain(404)
    if (!holds(response, fd)) files.close(fd)
    return response
  } catch (error) {
    files.close(fd)
    throw error
  }
}

type Fields = Record<string, string>

function found(
  request: FileRequest,
  path: string,
  options: FileResponseOptions,
  files: Files,
  fd: number,
  { size, modifiedMs }: FileStatus,
): HttpResponse {
  const { headers } = request
  const version = versionOf(path, size, modifiedMs)
  const validators: Validators = {
    etag: etagOf(options.etag ?? 'strong', version),
    modifiedMs: options.lastModified === false ? undefined : modifiedMs,
  }
  const fields: Fields = { ...options.headers }
  if (validators.etag !== undefined) fields['etag'] = validators.etag
  if (validators.modifiedMs !== undefined) fields['last-modified'] = version.lastModified
  const verdict = checkConditions(request.method, headers, validators)
  if (verdict === Verdict.NOT_MODIFIED) return { status: 304, headers: fields }
  if (verdict === Verdict.FAILED) return plain(412)
  const contentType = options.contentType ?? version.contentType
  const whole: HttpResponse = { status: 200, headers: { ...fields, 'content-type': contentType }, body: { fd } }
  if (options.ranges === false) return whole
  fields['accept-ranges'] = 'bytes'
  const wanted = request.method === 'GET' && allowsRange(headers, validators) ? headers.get('range') : undefined
  const ranges = wanted === undefined ? null : parseRange(wanted, size, options.rangesMax ?? RANGES_MAX)
  if (ranges === null) return { ...whole, headers: { ...fields, 'content-type': contentType } }
  const [first] = ranges
  if (first === undefined) return plain(416, { ...fields, 'content-range': contentRange(null, size) })
  if (ranges.length > 1) return { status: 206, ...multipartRanges(files, fd, size, ranges, contentType, fields) }
  return {
    status: 206,
    headers: { ...fields, 'content-type': contentType, 'content-range': contentRange(first, size) },
    body: { fd, offset: first.start, length: first.end - first.start },
  }
}

/** The descriptor is the response's to close. */
function holds({ body }: HttpResponse, fd: number): boolean {
  if (typeof body !== 'object' || body === null) return false
  return 'pull' in body || ('fd' in body && body.fd === fd)
}

/** What is said of a file in every answer, while it stays as it is. */
interface FileVersion {
  readonly size: number
  readonly modifiedMs: number
  readonly tag: string
  readonly lastModified: string
  readonly contentType: string
}

/** By path: most files are asked for again unchanged, and to write a date costs as much as to open a file. */
const versions = new Map<string, FileVersion>()

function versionOf(path: string, size: number, modifiedMs: number): FileVersion {
  const known = versions.get(path)
  if (known !== undefined && known.size === size && known.modifiedMs === modifiedMs) return known
  if (versions.size >= VERSIONS_MAX) versions.clear()
  const version = {
    size,
    modifiedMs,
    // Size and time of the last change, as other servers of files do it. Microseconds: two changes within a second are
    // two versions.
    tag: `"${Math.round(modifiedMs * 1000).toString(16)}-${size.toString(16)}"`,
    lastModified: httpDate(modifiedMs),
    contentType: contentTypeOf(path),
  }
  versions.set(path, version)
  return version
}

function etagOf(kind: 'strong' | 'weak' | false, { tag }: FileVersion): string | undefined {
  if (kind === false) return undefined
  return kind === 'weak' ? `W/${tag}` : tag
}

function missing(files: Files, result: number): HttpResponse {
  const { errno } = files
  switch (-result) {
    case errno.ENOENT:
    case errno.ENOTDIR:
    case errno.EISDIR:
    case errno.ENAMETOOLONG:
    case errno.ELOOP:
      return plain(404)
    case errno.EACCES:
    case errno.EPERM:
      return plain(403)
    default:
      throw systemError(files, result, 'open')
  }
}

function plain(status: number, fields: Fields = {}): HttpResponse {
  return { status, headers: { ...fields, 'content-type': 'text/plain' }, body: `${reasonOf(status)}\n` }
}
