/**
 * What a hostile server says, as the query of its path, so that both scripted origins say it: `first` at once, then
 * `again` for as long as somebody listens, every `everyMs` or as fast as it is taken; without `again` it closes, resets
 * or stays silent. Text stands for bytes, as Latin-1.
 */

export interface Hostility {
  readonly first: string
  readonly again: string
  readonly everyMs: number
  readonly ending: 'close' | 'reset' | 'stay'
}

/** At once, where no time is between the repetitions. */
const PIECE_BYTES = 8192

export function hostilePath(wish: Partial<Hostility>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(wish)) query.set(name, String(value))
  return `/hostile/?${query}`
}

export function readHostility(path: string): Hostility {
  const query = new URLSearchParams(path.slice(path.indexOf('?') + 1))
  const again = query.get('again') ?? ''
  const everyMs = Number(query.get('everyMs') ?? 0)
  const times = again === '' || everyMs > 0 ? 1 : Math.ceil(PIECE_BYTES / again.length)
  const ending = query.get('ending') ?? 'stay'
  return { first: query.get('first') ?? '', again: again.repeat(times), everyMs, ending: ending as Hostility['ending'] }
}
