/** The encoder of zstd in this Node; null before 22.15, whose binary has none, and so no decoder either. */
import * as zlib from 'node:zlib'

type Encoder = (bytes: Uint8Array) => Buffer

export const zstdCompressSync: Encoder | null = (zlib as { zstdCompressSync?: Encoder }).zstdCompressSync ?? null
