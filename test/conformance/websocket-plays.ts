/** Frames that a scripted WebSocket server sends in pieces of a certain kind, and what a transfer makes of them. */
import { frameBytes } from './websocket-server.ts'
import { converse } from './websocket-stage.ts'

/** In one write, in one for each frame, for each byte, or for so many bytes. */
export type Piece = 'whole' | 'frame by frame' | 'octet by octet' | number

export const CONTINUATION_BYTES: number = 256 * 1024

export interface Told {
  readonly outcome: string
  readonly reason: string
  readonly messages: readonly (string | Buffer)[]
  readonly pongs: readonly string[]
}

/** The frames, then a close frame. */
export async function play(frames: readonly Uint8Array[], piece: Piece): Promise<Told> {
  const all = [...frames, frameBytes(0x88, Buffer.from([0x03, 0xe8]))]
  const writes = piece === 'frame by frame' ? all : slices(Buffer.concat(all), piece)
  const { fetch, received, client } = await converse(
    { echoes: false },
    { timeoutMs: 3_600_000 },
    async ({ client: peer, pass }) => {
      for (const write of writes) {
        peer.connection.peer.write(write)
        await pass(1)
      }
    },
  )
  const reason = fetch.message?.error?.message ?? ''
  return { outcome: fetch.outcome, reason, messages: received, pongs: client.pongs }
}

function slices(bytes: Buffer, piece: Piece): Buffer[] {
  const size = piece === 'octet by octet' ? 1 : piece === 'whole' ? bytes.length : Number(piece)
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size))
}
