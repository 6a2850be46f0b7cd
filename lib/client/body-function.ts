/** How a callback gives a request body, piece by piece. */
import { PAUSE } from '../base/pause.ts'

export { PAUSE }

/**
 * Gives the next bytes of a request body, at most `bytesMax` of them (a string counts in UTF-8); null at the end
 * (CURLOPT_READFUNCTION). The bytes are the library's until the next call.
 */
export type BodyFunction = (bytesMax: number) => Uint8Array | string | null | typeof PAUSE
