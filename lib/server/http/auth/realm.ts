/** The realm of a challenge as an option: text that a field can hold. */
import { type Check, isText, wrongRange } from '../../../base/options.ts'
import { isFieldValue } from '../../../wire/http1/syntax.ts'

export const isRealm: Check = (option, value) => {
  isText(option, value)
  if (!isFieldValue(value as string)) throw wrongRange(option, 'text that a header field can hold', value)
}
