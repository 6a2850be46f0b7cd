/**
 * The options of bodies, checked and made ready. What a transfer does not ask for is null, so that a plain one looks at
 * each kind of feature once.
 */
import { type Check, isBoolean, isDuration, isInteger, isText, wrongRange, wrongType } from '../base/options.ts'
import { defaults } from '../sys/defaults.ts'
import type { BodyOptions } from './body-options.ts'
import { acceptedCodings } from './content-coding.ts'
import { Form, FormBody } from './form.ts'
import type { UploadPart } from './upload-part.ts'

/** Growth that no single deflate stream reaches: its best is 1032. */
const EXPANSION_MAX = 1100
/** curl's default of EXPECT_100_TIMEOUT_MS. */
const EXPECT_TIMEOUT_MS = 1000
/** Bodies above it wait for 100 Continue: curl's threshold. */
const EXPECT_BYTES = 1024 * 1024
/** curl's tool takes this when only a limit is given. */
const LOW_SPEED_TIME_MS = 30_000

type Field = readonly [name: string, value: string | null]

/** What is looked at in a response and its body. */
export interface ResponseRules {
  /** Undo the content codings. */
  readonly decodes: boolean
  readonly maxDecodedBytes: number
  readonly maxExpansion: number
  readonly failOnError: boolean
  readonly maxFileSize: number
  readonly resumeFrom: number
  readonly ifModifiedSince: number
  readonly ifUnmodifiedSince: number
}

/** What needs a clock while an exchange goes on. 0: not asked for. */
export interface PaceRules {
  readonly maxRecvSpeed: number
  readonly maxSendSpeed: number
  readonly lowSpeedLimit: number
  readonly lowSpeedTimeMs: number
  readonly serverResponseTimeoutMs: number
}

export interface BodySettings {
  readonly response: ResponseRules | null
  readonly pace: PaceRules | null
  readonly expectTimeoutMs: number
  /** Past an answer that came early. */
  readonly keepsSending: boolean
  readonly form: FormBody | null
}

const isRange: Check = (option, value) => {
  isText(option, value)
  if (!/^\s*(\d+-\d*|-\d+)(\s*,\s*(\d+-\d*|-\d+))*\s*$/.test(value as string)) {
    throw wrongRange(option, "ranges of bytes as '0-499,1000-'", value)
  }
}

const isDate: Check = (option, value) => {
  if (!(value instanceof Date)) throw wrongType(option, 'a Date', value)
  if (Number.isNaN(value.getTime())) throw wrongRange(option, 'a valid Date', value)
}

const isForm: Check = (option, value) => {
  if (!(value instanceof Form)) throw wrongType(option, 'a Form', value)
}

const isCodings: Check = (option, value) => {
  isText(option, value)
  if (acceptedCodings(value as string, defaults.inflateProvider) === null) {
    throw wrongRange(option, "'' or a list of gzip, deflate, br, zstd where Node has it, and identity", value)
  }
}

const isSize = isInteger(0, Number.MAX_SAFE_INTEGER)

export const BODY_CHECKS: Readonly<Record<keyof BodyOptions, Check>> = {
  acceptEncoding: isCodings,
  contentDecoding: isBoolean,
  maxDecodedBytes: isSize,
  maxExpansion: isSize,
  failOnError: isBoolean,
  maxFileSize: isSize,
  expect100: isBoolean,
  expect100TimeoutMs: isDuration,
  keepSendingOnError: isBoolean,
  range: isRange,
  resumeFrom: isSize,
  ifModifiedSince: isDate,
  ifUnmodifiedSince: isDate,
  form: isForm,
  maxRecvSpeed: isSize,
  maxSendSpeed: isSize,
  lowSpeedLimit: isSize,
  lowSpeedTimeMs: isDuration,
  serverResponseTimeoutMs: isDuration,
}

/** The options have passed BODY_CHECKS. */
export function bodySettings(options: BodyOptions & { body?: unknown }): BodySettings {
  if (options.range !== undefined && options.resumeFrom) {
    throw wrongRange('resumeFrom', 'left out when there is a range', options.resumeFrom)
  }
  if (options.ifModifiedSince !== undefined && options.ifUnmodifiedSince !== undefined) {
    throw wrongRange('ifUnmodifiedSince', 'left out when there is ifModifiedSince', options.ifUnmodifiedSince)
  }
  if (options.form !== undefined && options.resumeFrom) {
    throw wrongRange('resumeFrom', 'left out when there is a form', options.resumeFrom)
  }
  const isUpload = options.body !== undefined && options.body !== null
  return {
    response: responseRules(options, isUpload ? 0 : (options.resumeFrom ?? 0)),
    pace: paceRules(options),
    expectTimeoutMs: options.expect100TimeoutMs ?? EXPECT_TIMEOUT_MS,
    keepsSending: options.keepSendingOnError ?? false,
    form: options.form === undefined ? null : new FormBody(options.form),
  }
}

/** The user's fields and behind them those that these options stand for, unless the user gave them. */
export function withBodyFields(
  headers: readonly Field[],
  options: BodyOptions,
  form: FormBody | null,
  upload: UploadPart,
): readonly Field[] {
  const { body, bodyLength, contentRange } = upload
  const { acceptEncoding, range, resumeFrom, ifModifiedSince, ifUnmodifiedSince } = options
  const fields: Field[] = []
  if (form !== null) fields.push(['Content-Type', form.contentType])
  if (acceptEncoding !== undefined) {
    fields.push(['Accept-Encoding', acceptedCodings(acceptEncoding, defaults.inflateProvider)])
  }
  if (range !== undefined) fields.push(['Range', `bytes=${range.replace(/\s/g, '')}`])
  if (contentRange !== null) fields.push(['Content-Range', contentRange])
  else if (resumeFrom && body === null) fields.push(['Range', `bytes=${resumeFrom}-`])
  if (ifModifiedSince !== undefined) fields.push(['If-Modified-Since', ifModifiedSince.toUTCString()])
  if (ifUnmodifiedSince !== undefined) fields.push(['If-Unmodified-Since', ifUnmodifiedSince.toUTCString()])
  const expects = bodyLength !== 0 && (options.expect100 ?? bodyLength > EXPECT_BYTES)
  if (expects) fields.push(['Expect', '100-continue'])
  if (fields.length === 0) return headers
  const given = new Set(headers.map(([name]) => name.toLowerCase()))
  return [...headers, ...fields.filter(([name]) => !given.has(name.toLowerCase()))]
}

function responseRules(options: BodyOptions, resumeFrom: number): ResponseRules | null {
  const rules: ResponseRules = {
    decodes: options.acceptEncoding !== undefined && options.contentDecoding !== false,
    maxDecodedBytes: options.maxDecodedBytes || Number.POSITIVE_INFINITY,
    maxExpansion: (options.maxExpansion ?? EXPANSION_MAX) || Number.POSITIVE_INFINITY,
    failOnError: options.failOnError ?? false,
    maxFileSize: options.maxFileSize || Number.POSITIVE_INFINITY,
    resumeFrom,
    ifModifiedSince: options.ifModifiedSince?.getTime() ?? Number.NaN,
    ifUnmodifiedSince: options.ifUnmodifiedSince?.getTime() ?? Number.NaN,
  }
  const isPlain =
    !rules.decodes &&
    !rules.failOnError &&
    rules.maxFileSize === Number.POSITIVE_INFINITY &&
    rules.resumeFrom === 0 &&
    Number.isNaN(rules.ifModifiedSince) &&
    Number.isNaN(rules.ifUnmodifiedSince)
  return isPlain ? null : rules
}

function paceRules(options: BodyOptions): PaceRules | null {
  const { maxRecvSpeed = 0, maxSendSpeed = 0, serverResponseTimeoutMs = 0 } = options
  let { lowSpeedLimit = 0, lowSpeedTimeMs = 0 } = options
  if (lowSpeedTimeMs > 0 && options.lowSpeedLimit === undefined) lowSpeedLimit = 1
  if (lowSpeedLimit > 0 && options.lowSpeedTimeMs === undefined) lowSpeedTimeMs = LOW_SPEED_TIME_MS
  if (lowSpeedTimeMs === 0) lowSpeedLimit = 0
  if (maxRecvSpeed + maxSendSpeed + lowSpeedLimit + serverResponseTimeoutMs === 0) return null
  return { maxRecvSpeed, maxSendSpeed, lowSpeedLimit, lowSpeedTimeMs, serverResponseTimeoutMs }
}
