/** What a final response head means for its body, by the rules of the transfer: curl's decisions. */
import type { TransferCodeName } from '../base/errors.ts'
import type { HeaderList } from '../wire/http1/header-list.ts'
import type { ResponseRules } from './body-settings.ts'
import type { TransferInfo } from './transfer-info.ts'

export interface Fault {
  readonly code: TransferCodeName
  readonly message: string
  readonly cause?: unknown
}

export const HeadVerdict = {
  TELL: 0,
  /** The body is received and told to nobody. */
  PASS_OVER: 1,
  /** The transfer is complete, whatever else comes. */
  ENOUGH: 2,
} as const
export type HeadVerdict = (typeof HeadVerdict)[keyof typeof HeadVerdict]

const NOT_MODIFIED = 304
const PRECONDITION_FAILED = 412
const PARTIAL_CONTENT = 206
const RANGE_NOT_SATISFIABLE = 416

/** A fault ends the transfer. Sets `info.conditionUnmet`. */
export function judgeHead(rules: ResponseRules, headers: HeaderList, info: TransferInfo): HeadVerdict | Fault {
  const { status, contentLength } = info
  if (rules.resumeFrom > 0) {
    if (status === RANGE_NOT_SATISFIABLE) return HeadVerdict.PASS_OVER
    if (status >= 200 && status < 300) return judgeRange(rules.resumeFrom, headers, info)
  }
  if (rules.failOnError && status >= 400) {
    return { code: 'HTTP_RETURNED_ERROR', message: `the server answered with status ${status}` }
  }
  if (contentLength > rules.maxFileSize) {
    const message = `the body is announced with ${contentLength} bytes, more than maxFileSize ${rules.maxFileSize}`
    return { code: 'FILESIZE_EXCEEDED', message }
  }
  return judgeTime(rules, headers, info)
}

function judgeRange(from: number, headers: HeaderList, info: TransferInfo): HeadVerdict | Fault {
  if (info.status === PARTIAL_CONTENT) {
    const range = /^\s*bytes\s+(\d+)-/i.exec(headers.first('content-range') ?? '')
    if (range !== null && Number(range[1]) === from) return HeadVerdict.TELL
    return { code: 'RANGE_ERROR', message: `the server did not begin at byte ${from}` }
  }
  // All of it is here already.
  if (info.contentLength === from) return HeadVerdict.ENOUGH
  return { code: 'RANGE_ERROR', message: `the server does not give ranges of bytes: cannot resume from byte ${from}` }
}

/** Servers may ignore a condition, so what they send is looked at. */
function judgeTime(rules: ResponseRules, headers: HeaderList, info: TransferInfo): HeadVerdict {
  const { ifModifiedSince, ifUnmodifiedSince } = rules
  const isModifiedSince = !Number.isNaN(ifModifiedSince)
  if (!isModifiedSince && Number.isNaN(ifUnmodifiedSince)) return HeadVerdict.TELL
  const { status } = info
  if (status === NOT_MODIFIED || (!isModifiedSince && status === PRECONDITION_FAILED)) {
    info.conditionUnmet = true
    return HeadVerdict.TELL
  }
  const changed = Date.parse(headers.first('last-modified') ?? '')
  if (status !== 200 || Number.isNaN(changed)) return HeadVerdict.TELL
  // The wire knows whole seconds.
  const since = Math.floor((isModifiedSince ? ifModifiedSince : ifUnmodifiedSince) / 1000) * 1000
  info.conditionUnmet = isModifiedSince ? changed <= since : changed > since
  return info.conditionUnmet ? HeadVerdict.ENOUGH : HeadVerdict.TELL
}
