/** Runs a decoder of forms over pieces and collects what it tells. */
import { type FormDecoder, FormEvent } from '../../../lib/wire/form-event.ts'

export interface DecodedPart {
  readonly name: string
  readonly filename: string | null
  readonly contentType: string
  readonly text: string
}

export interface DecodedForm {
  readonly parts: DecodedPart[]
  /** '' when the form is whole. */
  readonly reason: string
}

export function decodeForm(decoder: FormDecoder, pieces: readonly Uint8Array[]): DecodedForm {
  const parts: DecodedPart[] = []
  let content: Buffer[] = []
  for (let piece = 0; piece <= pieces.length; piece++) {
    const bytes = pieces[piece]
    if (bytes === undefined) decoder.receiveEof()
    else decoder.receive(bytes, 0, bytes.length)
    for (let event = decoder.nextEvent(); event !== FormEvent.NEED_MORE; event = decoder.nextEvent()) {
      if (event === FormEvent.ERROR) return { parts, reason: decoder.reason }
      if (event === FormEvent.END) break
      if (event === FormEvent.PART) content = []
      else if (event === FormEvent.DATA) {
        content.push(Buffer.from(decoder.dataBytes.slice(decoder.dataStart, decoder.dataEnd)))
      } else {
        const { name, filename, contentType } = decoder
        parts.push({ name, filename, contentType, text: Buffer.concat(content).toString() })
      }
    }
  }
  return { parts, reason: '' }
}
