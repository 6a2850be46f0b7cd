/**
 * File names from URLs: the last segment of the path, made harmless. A name is never a path, never hidden, and never
 * looks like an option; the same list of URLs gives the same names again.
 */

const NAME_WITHOUT_PATH = 'index.html'
/** Of 255 that file systems take, less room for a suffix. */
const NAME_BYTES_MAX = 240
/** Separators, controls, and what turns the direction of writing. */
const HARMFUL = /[/\\\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffd]/g

export function fileNameOf(url: string): string {
  const segment = new URL(url).pathname.split('/').pop() as string
  const name = decode(segment).replace(HARMFUL, '_').replace(/^[.-]/, '_')
  return name === '' ? NAME_WITHOUT_PATH : shorten(name, NAME_BYTES_MAX)
}

/** Names in order of arrival; one that is taken gets a number before its extension. */
export class FileNames {
  readonly #taken = new Set<string>()

  take(name: string): string {
    let candidate = name
    for (let number = 1; this.#taken.has(candidate); number++) candidate = numbered(name, number)
    this.#taken.add(candidate)
    return candidate
  }
}

function numbered(name: string, number: number): string {
  const { stem, extension } = split(name)
  return `${stem}.${number}${extension}`
}

function split(name: string): { stem: string; extension: string } {
  const dot = name.lastIndexOf('.')
  return dot > 0 ? { stem: name.slice(0, dot), extension: name.slice(dot) } : { stem: name, extension: '' }
}

/** Bytes that are no UTF-8 stay as they were written. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** Whole characters only, and the extension stays when it is a short one. */
function shorten(name: string, bytesMax: number): string {
  if (Buffer.byteLength(name) <= bytesMax) return name
  const { stem, extension } = split(name)
  const kept = Buffer.byteLength(extension) <= 16 ? extension : ''
  let short = kept === '' ? name : stem
  while (Buffer.byteLength(short) + Buffer.byteLength(kept) > bytesMax) short = [...short].slice(0, -1).join('')
  return `${short}${kept}`
}
