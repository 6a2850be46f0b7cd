/** What `--verbose` prints: what happens, and heads as they are sent and received; secrets are left out. */
import type { DebugKind } from '../index.ts'
import { printable } from './text.ts'

const MARKS: Readonly<Partial<Record<DebugKind, string>>> = { text: '*', headOut: '>', headIn: '<' }
const SECRETS = /^((?:proxy-)?authorization|cookie|set-cookie)(\s*:).*$/i

/** Empty for what is not shown, as bodies. */
export function debugLines(kind: DebugKind, content: string | Uint8Array): string[] {
  const mark = MARKS[kind]
  if (mark === undefined) return []
  const text = typeof content === 'string' ? content : Buffer.from(content).toString('latin1')
  return text
    .split(/\r?\n/)
    .filter((line) => line !== '')
    .map((line) => `${mark} ${printable(line.replace(SECRETS, '$1$2 (hidden)'))}`)
}
