/**
 * The body of a response as a web stream of bytes: nothing is read ahead, so the stream's back-pressure is that of the
 * transfer. It counts as a reader once it is read from or cancelled, and holds the response for as long as it lives.
 */
import type { ReadableByteStreamController, ReadableStream as WebStream } from 'node:stream/web'
import type { Delivery } from './delivery.ts'

export type WebBody = WebStream<Uint8Array>

export interface Discardable {
  discard(): void
}

export function webBody(response: Discardable, delivery: Delivery): WebBody {
  let isReader = false
  const claim = (): void => {
    if (!isReader) delivery.claim()
    isReader = true
  }
  return new ReadableStream(
    {
      type: 'bytes',
      pull: (controller) => {
        claim()
        return fill(controller, delivery)
      },
      cancel: () => {
        claim()
        response.discard()
      },
    },
    { highWaterMark: 0 },
  )
}

async function fill(controller: ReadableByteStreamController, delivery: Delivery): Promise<void> {
  const piece = await delivery.next()
  if (piece !== null) {
    controller.enqueue(piece)
    return
  }
  controller.close()
  // A reader that brought its own memory waits for this.
  controller.byobRequest?.respond(0)
}
