/**
 * Checks of option objects. Misuse throws at once and names the option and the value: a TypeError for a wrong kind or
 * an unknown key, a RangeError for a number outside its limits.
 */

/** How a value looks in an error message: short, and never a whole body. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value)
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object' && value !== null) return `an object (${value.constructor?.name ?? 'null prototype'})`
  return String(value)
}

export function wrongType(option: string, expected: string, value: unknown): TypeError {
  return new TypeError(`option ${option} must be ${expected}, not ${show(value)}`)
}

export function wrongRange(option: string, expected: string, value: unknown): RangeError {
  return new RangeError(`option ${option} must be ${expected}, not ${show(value)}`)
}

/** Throws unless the value is a plain options object; returns it as a record. */
function checkObject(what: string, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${what} must be an object, not ${show(value)}`)
  }
  return value as Record<string, unknown>
}

export type Check = (option: string, value: unknown) => void

/** One check per known key; undefined values count as absent. */
export function checkOptions(what: string, value: unknown, checks: Readonly<Record<string, Check>>): void {
  const options = checkObject(what, value)
  for (const key of Object.keys(options)) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined
    if (check === undefined)
      throw new TypeError(`${what}: unknown option ${show(key)}${suggest(key, Object.keys(checks))}`)
    if (options[key] !== undefined) check(key, options[key])
  }
}

export const isFunction: Check = (option, value) => {
  if (typeof value !== 'function') throw wrongType(option, 'a function', value)
}

export const isFunctionOrNull: Check = (option, value) => {
  if (value !== null) isFunction(option, value)
}

export const isBoolean: Check = (option, value) => {
  if (typeof value !== 'boolean') throw wrongType(option, 'true or false', value)
}

export const isText: Check = (option, value) => {
  if (typeof value !== 'string') throw wrongType(option, 'a string', value)
}

export const isObject: Check = (option, value) => {
  if (typeof value !== 'object' || value === null) throw wrongType(option, 'an object', value)
}

/** A whole number from least to most. */
export function isInteger(least: number, most: number): Check {
  return (option, value) => {
    if (typeof value !== 'number') throw wrongType(option, 'a number', value)
    if (!Number.isInteger(value) || value < least || value > most) {
      throw wrongRange(option, `a whole number from ${least} to ${most}`, value)
    }
  }
}

/** Milliseconds; fractions are allowed, rounded up where a loop counts whole ones. */
export const isDuration: Check = (option, value) => {
  if (typeof value !== 'number') throw wrongType(option, 'a number of milliseconds', value)
  if (!(value >= 0) || value === Number.POSITIVE_INFINITY) throw wrongRange(option, 'zero or more milliseconds', value)
}

function suggest(key: string, known: readonly string[]): string {
  const near = known.find((name) => name.toLowerCase() === key.toLowerCase())
  return near === undefined ? '' : `; did you mean ${near}?`
}
