/** Files as servers read them: opened, looked at, read at a position; owned by the thread that opened them. */
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { kernel, ownedCount } from '../../lib/sys/native.ts'
import { nativeFiles } from '../../lib/sys/native-files.ts'
import { answer, checkForLeaks, must } from './support.ts'

checkForLeaks()

const directory = mkdtempSync(join(tmpdir(), 'sockmux-files-'))
afterAll(() => rmSync(directory, { recursive: true }))
const path = join(directory, 'größe')
writeFileSync(path, 'sixteen letters.')

describe('a file', () => {
  it('is read where it is asked for, up to its end', () => {
    const fd = must(nativeFiles.open(path))
    const into = Buffer.alloc(20, '-')
    expect(nativeFiles.read(fd, into, 2, 7, 0)).toBe(7)
    expect(nativeFiles.read(fd, into, 10, 10, 8)).toBe(8)
    expect(into.toString()).toBe('--sixteen-letters.--')
    expect(nativeFiles.read(fd, into, 0, 20, 16)).toBe(0)
    expect(nativeFiles.read(fd, into, 0, 20, 2 ** 40)).toBe(0)
    nativeFiles.close(fd)
    expect(answer(nativeFiles.read(fd, into, 0, 1, 0))).toBe('EBADF')
  })

  it('is described as node:fs describes it', () => {
    utimesSync(path, 1, 1_700_000_000.123)
    mkdirSync(join(directory, 'folder'))
    for (const name of [path, join(directory, 'folder'), '/dev/null']) {
      const fd = must(nativeFiles.open(name))
      const known = statSync(name)
      expect(nativeFiles.status(fd)).toEqual({
        isFile: known.isFile(),
        isDirectory: known.isDirectory(),
        size: known.size,
        modifiedMs: known.mtimeMs,
      })
      nativeFiles.close(fd)
    }
    expect(answer(nativeFiles.status(-1) as number)).toBe('EBADF')
  })

  it('that cannot be opened says why, whatever its name is', () => {
    expect(answer(nativeFiles.open(join(directory, 'none')))).toBe('ENOENT')
    expect(answer(nativeFiles.open(join(path, 'below')))).toBe('ENOTDIR')
    expect(answer(nativeFiles.open(join(directory, 'x'.repeat(300))))).toBe('ENAMETOOLONG')
    expect(answer(nativeFiles.open('x'.repeat(100_000)))).toBe('ENAMETOOLONG')
    expect(answer(nativeFiles.open('a\0b'))).toBe('EINVAL')
    expect(answer(nativeFiles.open(''))).toBe('ENOENT')
  })

  it('belongs to the thread that opened it, and one of node:fs to Node', () => {
    const before = ownedCount()
    const own = must(nativeFiles.open(path))
    expect(ownedCount()).toBe(before + 1)
    nativeFiles.close(own)
    expect(ownedCount()).toBe(before)
    const other = openSync(path, 'r')
    expect(kernel.generation(other)).toBeLessThan(0)
    const into = Buffer.alloc(7)
    expect(nativeFiles.read(other, into, 0, 7, 0)).toBe(7)
    nativeFiles.close(other)
    expect(() => closeSync(other)).toThrow('EBADF')
    // Closed already: nobody needs to hear of it.
    nativeFiles.close(other)
  })

  it('is closed on exec', () => {
    const fd = must(nativeFiles.open(path))
    if (process.platform === 'linux') expect(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')).toMatch(/flags:\s+02\d*/)
    nativeFiles.close(fd)
  })
})
