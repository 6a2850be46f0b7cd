/** Files of any size whose bytes look random, are the same in every run, and are quick to make. */
import { createCipheriv, createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { sha256 } from './outcomes.ts'

export interface TestFile {
  readonly name: string
  readonly bytes: number
  readonly sha256: string
}

export function patternBytes(bytes: number, seed: string): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes))
}

export function writeTestFile(directory: string, name: string, bytes: number): TestFile {
  const content = patternBytes(bytes, name)
  const path = `${directory}/${name}`
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  return { name, bytes, sha256: sha256(content) }
}
