/**
 * The options of a transfer that say how bodies go out and come in, and at what rate: a part of TransferOptions,
 * spelled as curl's. Limits are in bytes, rates in bytes per second; 0 means none.
 */
import type { Form } from './form.ts'

export interface BodyOptions {
  /**
   * Codings to ask for and to undo: '' is all that can be undone here, otherwise a list as 'gzip, br' of gzip, deflate,
   * br, zstd (Node 22.15 and later) and identity. Default: nothing is asked for, and what comes is told as it is.
   * CURLOPT_ACCEPT_ENCODING.
   */
  acceptEncoding?: string
  /** false: asked for, but told as it came. Default true. CURLOPT_HTTP_CONTENT_DECODING. */
  contentDecoding?: boolean
  /** Most bytes of a decoded body; more is TOO_LARGE. Default 0, none beside maxExpansion. */
  maxDecodedBytes?: number
  /**
   * How many times as long as its encoded form a decoded body may become, once it is longer than 16 MiB; more is
   * TOO_LARGE. Default 1100: no single gzip or deflate stream reaches it. 0: none.
   */
  maxExpansion?: number
  /** A status of 400 or above ends the transfer with HTTP_RETURNED_ERROR. Default false. CURLOPT_FAILONERROR. */
  failOnError?: boolean
  /**
   * Most bytes of a response body, announced, received or decoded; more is FILESIZE_EXCEEDED. Default 0, none.
   * CURLOPT_MAXFILESIZE_LARGE.
   */
  maxFileSize?: number
  /**
   * Send 'Expect: 100-continue' and wait with the body for the server's word. Default: when the body has a known length
   * of more than 1 MiB. A header Expect of yours decides too; null there takes it away.
   */
  expect100?: boolean
  /** Longest wait for that word; then the body is sent all the same. Default 1000. CURLOPT_EXPECT_100_TIMEOUT_MS. */
  expect100TimeoutMs?: number
  /**
   * Go on sending a body although its answer came before the end, so that the connection can serve on. Default false:
   * an early answer ends the sending, and the connection with it. CURLOPT_KEEP_SENDING_ON_ERROR.
   */
  keepSendingOnError?: boolean
  /** Byte ranges to ask for, as '0-499,1000-'; the server may ignore it, see `info.status`. CURLOPT_RANGE. */
  range?: string
  /**
   * Ask for the body from this byte on. RANGE_ERROR when the server begins elsewhere; nothing more to get is a success.
   * With a body of the request: send that from this byte on, with Content-Range; a callback begins there itself, and
   * bodyLength is that of the whole. Default 0. CURLOPT_RESUME_FROM_LARGE.
   */
  resumeFrom?: number
  /** Only when it was changed after that; see `info.conditionUnmet`. CURLOPT_TIMECONDITION, CURLOPT_TIMEVALUE_LARGE. */
  ifModifiedSince?: Date
  /** Only when it was not changed after that. CURLOPT_TIMECONDITION with CURL_TIMECOND_IFUNMODSINCE. */
  ifUnmodifiedSince?: Date
  /** A form to send as multipart/form-data, instead of a body. CURLOPT_MIMEPOST. */
  form?: Form
  /** Receive no faster; between the pieces nothing is read. CURLOPT_MAX_RECV_SPEED_LARGE. */
  maxRecvSpeed?: number
  /** Send no faster. CURLOPT_MAX_SEND_SPEED_LARGE. */
  maxSendSpeed?: number
  /** Slower than this for lowSpeedTimeMs ends the transfer; paused time does not count. CURLOPT_LOW_SPEED_LIMIT. */
  lowSpeedLimit?: number
  /** Default 30,000 when there is a lowSpeedLimit. Alone it stands for a limit of 1. CURLOPT_LOW_SPEED_TIME. */
  lowSpeedTimeMs?: number
  /**
   * From the end of the request to the head of its response; it rests while receiving is paused. Default 0, none.
   * CURLOPT_SERVER_RESPONSE_TIMEOUT_MS.
   */
  serverResponseTimeoutMs?: number
}
