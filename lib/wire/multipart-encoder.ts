/**
 * The framing of multipart/form-data (RFC 7578) as text: heads of parts, the boundary's lines. Names and file names
 * are UTF-8 and escaped as browsers do it (HTML, "multipart/form-data encoding algorithm"): CR, LF and the quotation
 * mark as %0D, %0A and %22.
 */

export interface PartHead {
  readonly name: string
  readonly filename: string | null
  readonly contentType: string | null
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/** Line breaks that are neither CR LF nor both halves of it become CR LF first, as in a name of a form control. */
function escapeName(name: string): string {
  return escapeQuoted(name.replace(/\r\n|\r|\n/g, '\r\n'))
}

function escapeQuoted(text: string): string {
  return text.replace(/\r/g, '%0D').replace(/\n/g, '%0A').replace(/"/g, '%22')
}

/** From the boundary's line to the empty line before the content. */
export function partHead(boundary: string, part: PartHead): Buffer {
  let text = `--${boundary}\r\nContent-Disposition: form-data; name="${escapeName(part.name)}"`
  if (part.filename !== null) text += `; filename="${escapeQuoted(part.filename)}"`
  text += '\r\n'
  if (part.contentType !== null) text += `Content-Type: ${part.contentType}\r\n`
  for (const [name, value] of part.headers) text += `${name}: ${value}\r\n`
  return Buffer.from(`${text}\r\n`)
}

/** Behind the content of each part. */
export const PART_END: Buffer = Buffer.from('\r\n')

export function formEnd(boundary: string): Buffer {
  return Buffer.from(`--${boundary}--\r\n`)
}
