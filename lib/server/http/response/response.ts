/**
 * What a handler answers: a plain value. Nothing of it is looked at before it is given to the connection; what cannot
 * be sent throws a TypeError or RangeError that names the field, before a byte has left. Bytes given by reference must
 * not change until the response is done. Descriptors and producers are closed exactly once, however the response ends.
 */
import type { PAUSE } from '../../../base/pause.ts'
import type { HeaderList, HeaderPairs } from '../../../wire/http1/header-list.ts'
import type { Upgrade } from '../upgrade/upgrade.ts'

export type HttpResponseHeaders =
  | HeaderList
  | HeaderPairs
  | Readonly<Record<string, string | number | readonly string[] | undefined>>

/** A file by its path, opened when the response begins: the whole of it, or a part. */
export interface FileBody {
  readonly file: string
  readonly offset?: number
  readonly length?: number
}

/** An open regular file, by its descriptor of `node:fs`; closed with the response. */
export interface DescriptorBody {
  readonly fd: number
  readonly offset?: number
  readonly length?: number
}

/** The reading end of a pipe or a socket; closed with the response. Its size is not known. */
export interface PipeBody {
  readonly pipe: number
}

/**
 * Gives the bytes from `position` on, at most `bytesMax` of them (a string counts in UTF-8); null at the end; PAUSE
 * when there is nothing now: sending rests until `resume` of the request. What it throws truncates the response. The
 * bytes are the library's until the next call.
 */
export type PullFunction = (position: number, bytesMax: number) => Uint8Array | string | null | typeof PAUSE

/** `length` when it is known: the response then has a Content-Length. `close` is called once, at the end. */
export interface PullBody {
  readonly pull: PullFunction
  readonly length?: number
  readonly close?: (error: Error | null) => void
}

/** Pieces of a body: bytes, or text that is sent as UTF-8. */
export type BodyPiece = Uint8Array | string

export type HttpResponseBody =
  | string
  | Uint8Array
  | readonly Uint8Array[]
  | FileBody
  | DescriptorBody
  | PipeBody
  | PullFunction
  | PullBody
  | Iterable<BodyPiece>
  | AsyncIterable<BodyPiece>

export interface HttpResponse {
  /** 200 to 999. Default 200. */
  readonly status?: number
  /** Default: the usual phrase of that status. */
  readonly reason?: string
  /** In this order. Date, Content-Length, Transfer-Encoding and Connection are set as needed. */
  readonly headers?: HttpResponseHeaders
  /** Default: none. */
  readonly body?: HttpResponseBody | null
  /** Sent behind a chunked body, asked for when that has ended; left out where there is none. */
  readonly trailers?: HttpResponseHeaders | (() => HttpResponseHeaders)
  /**
   * With 101, or 2xx to CONNECT: once the head is with the system the connection belongs to another protocol. Such a
   * response has no body, and its Connection field says so.
   */
  readonly upgrade?: Upgrade
}
