/**
 * From the target of a request to a file below a directory, or to why there is none. Percent escapes are decoded once,
 * segment by segment; no segment goes up, holds a separator or a NUL, or begins with a dot unless that is allowed; and
 * what links lead to is looked at after they were followed.
 */
import { realpathSync, type Stats, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import type { ServeSettings } from './serve-settings.ts'

export interface FoundPath {
  readonly path: string
  readonly stats: Stats
  /** Decoded. */
  readonly segments: readonly string[]
  /** The target ends in a slash. */
  readonly hasSlash: boolean
  /** With its question mark, or empty. */
  readonly query: string
}

/** A status: 400 for what cannot be read, 403 and 404 for what is not to be had. */
export type PathRefusal = 400 | 403 | 404

type PathSettings = Pick<ServeSettings, 'root' | 'all' | 'follow'>

const BAD_REQUEST = 400
const FORBIDDEN = 403
const NOT_FOUND = 404
const REFUSALS: Readonly<Record<string, PathRefusal>> = {
  ENOENT: NOT_FOUND,
  ENOTDIR: NOT_FOUND,
  ELOOP: NOT_FOUND,
  ENAMETOOLONG: NOT_FOUND,
  EACCES: FORBIDDEN,
  EPERM: FORBIDDEN,
}

/** Throws what the system answers and nobody foresaw. */
export function findPath(target: string, settings: PathSettings): FoundPath | PathRefusal {
  const absolute = /^https?:\/\/[^/?]*/i.exec(target)?.[0] ?? ''
  const rest = target.slice(absolute.length)
  const end = rest.indexOf('?')
  const path = end < 0 ? rest : rest.slice(0, end)
  if (!path.startsWith('/') && absolute === '') return BAD_REQUEST
  const segments: string[] = []
  for (const part of path.split('/')) {
    const segment = decode(part)
    if (segment === null || segment.includes('\0')) return BAD_REQUEST
    if (segment === '' || segment === '.') continue
    if (segment === '..' || segment.includes('/') || segment.includes(sep)) return NOT_FOUND
    if (segment.startsWith('.') && !settings.all) return NOT_FOUND
    segments.push(segment)
  }
  const found = join(settings.root, ...segments)
  const stats = lookUp(found, settings)
  if (typeof stats === 'number') return stats
  const hasSlash = path.endsWith('/') || path === ''
  // A file is no directory, whoever asks for it.
  if (hasSlash && !stats.isDirectory()) return NOT_FOUND
  return { path: found, stats, segments, hasSlash, query: end < 0 ? '' : rest.slice(end) }
}

/** What is at a path, once links were followed. */
export function lookUp(path: string, settings: PathSettings): Stats | PathRefusal {
  try {
    const real = realpathSync.native(path)
    if (!settings.follow && !isWithin(real, settings.root)) return NOT_FOUND
    return statSync(real)
  } catch (error) {
    const refusal = REFUSALS[(error as NodeJS.ErrnoException).code ?? '']
    if (refusal === undefined) throw error
    return refusal
  }
}

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part)
  } catch {
    return null
  }
}

function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : `${root}${sep}`)
}
