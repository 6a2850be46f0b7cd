/** Small files of the user's, read and written whole: cookies, hosts that want TLS. Bytes stand as Latin-1. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'

/** A file that does not exist is an empty one; Node's own error for any other that cannot be read. */
export function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

/** Whole or not at all; others may not read it. */
export function replaceFile(file: string, text: string): void {
  const partial = `${file}.${process.pid}.part`
  writeFileSync(partial, text, { mode: 0o600, encoding: 'latin1' })
  renameSync(partial, file)
}
