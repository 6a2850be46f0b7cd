/** How a callback gives a request body, piece by piece. */

/** Returned by a body callback that has nothing now: sending rests until `resume('send')` (CURL_READFUNC_PAUSE). */
export const PAUSE: unique symbol = Symbol('sockmux.PAUSE')

/**
 * Gives the next bytes of a request body, at most `bytesMax` of them (a string counts in UTF-8); null at the end
 * (CURLOPT_READFUNCTION). The bytes are the library's until the next call.
 */
export type BodyFunction = (bytesMax: number) => Uint8Array | string | null | typeof PAUSE
