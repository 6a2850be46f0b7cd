/**
 * The three vocabularies of readiness. curl's numbers, and as in curl the two directions differ: `Interest` is told to
 * `socketFunction` (CURL_POLL_*), `Readiness` is given to `socketAction` (CURL_CSELECT_*).
 */
export const Interest = { NONE: 0, READABLE: 1, WRITABLE: 2, READABLE_WRITABLE: 3, REMOVE: 4 } as const
export type Interest = (typeof Interest)[keyof typeof Interest]

export const Readiness = { READABLE: 1, WRITABLE: 2, ERROR: 4 } as const
export type Readiness = (typeof Readiness)[keyof typeof Readiness]

/** Given to `socketAction` instead of a descriptor when the timer fired (CURL_SOCKET_TIMEOUT). */
export const SOCKET_TIMEOUT = -1
/** What a read or a write returns that would have to wait (curl's CURLE_AGAIN). */
export const WOULD_BLOCK = -1
