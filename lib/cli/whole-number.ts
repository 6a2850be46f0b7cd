/** A whole number of the command line; undefined when the option was not given. */
import { UsageError } from './command.ts'

export function wholeNumber(option: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw new UsageError(`--${option} must be a whole number from ${least} to ${most}, not '${text}'`)
}
