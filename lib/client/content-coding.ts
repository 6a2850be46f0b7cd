/**
 * Names of content codings (RFC 9110 §8.4.1): which can be undone, which were asked for, which a response has. Names
 * compare without case; x-gzip is gzip.
 */
import { InflateFormat, type InflateProvider } from '../sys/inflate.ts'

export const ContentCoding = { GZIP: 'gzip', DEFLATE: 'deflate', BROTLI: 'br', ZSTD: 'zstd' } as const
export type ContentCoding = (typeof ContentCoding)[keyof typeof ContentCoding]

/** Codings of one body: curl's limit. */
export const CODINGS_MAX = 5

const ALIASES: Readonly<Record<string, ContentCoding>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'br',
  zstd: 'zstd',
}

function canUndo(provider: InflateProvider, coding: ContentCoding): boolean {
  if (coding === 'br') return provider.knows(InflateFormat.BROTLI)
  if (coding === 'zstd') return provider.knows(InflateFormat.ZSTD)
  return provider.knows(InflateFormat.GZIP)
}

/** Elements of a list, in lower case, without their weights; identity is left out. */
function listed(text: string): string[] {
  const names: string[] = []
  for (const element of text.split(',')) {
    const [name = ''] = element.split(';')
    const trimmed = name.trim().toLowerCase()
    if (trimmed !== '' && trimmed !== 'identity') names.push(trimmed)
  }
  return names
}

/** The value of Accept-Encoding for that option, or null when it names what cannot be undone here. */
export function acceptedCodings(option: string, provider: InflateProvider): string | null {
  if (option.trim() === '') {
    const all = Object.values(ContentCoding).filter((coding) => canUndo(provider, coding))
    return all.length === 0 ? 'identity' : all.join(', ')
  }
  for (const name of listed(option)) {
    const coding = ALIASES[name]
    if (coding === undefined || !canUndo(provider, coding)) return null
  }
  return option
}

/**
 * The codings of a body in the order in which they were applied, or the name that cannot be undone. A name that repeats
 * is a coding applied twice.
 */
export function codingsOf(values: readonly string[], provider: InflateProvider): ContentCoding[] | string {
  const codings: ContentCoding[] = []
  for (const name of listed(values.join(','))) {
    const coding = ALIASES[name]
    if (coding === undefined || !canUndo(provider, coding)) return name
    codings.push(coding)
  }
  return codings
}
