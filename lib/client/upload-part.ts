/**
 * What is left of an upload of which the server has the beginning already: the rest of the body, announced with
 * Content-Range (RFC 9110 §14.5), as curl resumes uploads. A body callback begins at that byte itself.
 */
import { wrongRange } from '../base/options.ts'
import type { BodyFunction } from './body-function.ts'

export interface UploadPart {
  readonly body: Uint8Array | BodyFunction | null
  /** Of the part; -1 when it is not known. */
  readonly bodyLength: number
  /** null: the part is the whole. */
  readonly contentRange: string | null
}

/** Throws RangeError when nothing would be left, or when nobody knows how much. */
export function uploadPart(body: UploadPart['body'], length: number, resumeFrom: number): UploadPart {
  if (body === null || resumeFrom === 0) return { body, bodyLength: length, contentRange: null }
  if (length < 0) throw wrongRange('resumeFrom', 'left out when bodyLength is not known', resumeFrom)
  if (resumeFrom >= length) throw wrongRange('resumeFrom', `less than the length of the body, ${length}`, resumeFrom)
  return {
    body: typeof body === 'function' ? body : body.subarray(resumeFrom),
    bodyLength: length - resumeFrom,
    contentRange: `bytes ${resumeFrom}-${length - 1}/${length}`,
  }
}
