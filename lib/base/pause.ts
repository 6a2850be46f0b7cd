/** Returned by a body callback that has nothing now: sending rests until it is resumed (CURL_READFUNC_PAUSE). */
export const PAUSE: unique symbol = Symbol('sockmux.PAUSE')
