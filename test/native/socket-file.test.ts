/** What a unix socket has besides a TCP one: its file, and a peer whose process the system knows. */
import { chmodSync, lstatSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Family, type FileIdentity } from '../../lib/sys/kernel.ts'
import { kernel } from '../../lib/sys/native.ts'
import { answer, checkForLeaks, closeAll, connectTcp, must, openPair } from './support.ts'

checkForLeaks()

const directory = mkdtempSync(join(tmpdir(), 'sockmux-file-'))
afterAll(() => rmSync(directory, { recursive: true }))

function identity(path: string): FileIdentity {
  const file = kernel.fileIdentity(path)
  if (typeof file === 'number') throw new Error(`lstat ${path}: ${answer(file)}`)
  return file
}

describe('the file of a unix socket', () => {
  it('is born with the bits that were set before bind, less umask', () => {
    const path = join(directory, 'born')
    const before = process.umask(0o022)
    const fd = must(kernel.socket(Family.UNIX))
    expect(kernel.setMode(fd, 0o666)).toBe(0)
    expect(kernel.bind(fd, Family.UNIX, path, 0)).toBe(0)
    process.umask(before)
    expect(identity(path)).toMatchObject({ isSocket: true })
    // Apple's systems have no bits on a socket without a name.
    if (process.platform === 'linux') expect(identity(path).mode).toBe(0o644)
    expect(kernel.setPathMode(path, 0o600)).toBe(0)
    expect(identity(path).mode).toBe(0o600)
    closeAll(fd)
    expect(kernel.unlink(path)).toBe(0)
    expect(answer(kernel.unlink(path))).toBe('ENOENT')
  })

  it('is told from every other file, links are not followed', () => {
    const [file, link] = [join(directory, 'file'), join(directory, 'link')]
    writeFileSync(file, 'text')
    chmodSync(file, 0o640)
    symlinkSync(file, link)
    const { ino, dev } = lstatSync(file)
    expect(identity(file)).toEqual({ id: `${dev}:${ino}`, mode: 0o640, isSocket: false })
    expect(identity(link).id).not.toBe(identity(file).id)
    expect(answer(kernel.fileIdentity(join(directory, 'none')) as number)).toBe('ENOENT')
    expect(answer(kernel.fileIdentity('a\0b') as number)).toBe('EINVAL')
  })
})

describe('a lock', () => {
  it('is held by one, and free again when its descriptor is closed', () => {
    const path = join(directory, 'lock')
    const first = must(kernel.lockFile(path))
    expect(lstatSync(path).mode & 0o777).toBe(0o600)
    expect(answer(kernel.lockFile(path))).toBe('EAGAIN')
    closeAll(first)
    const second = must(kernel.lockFile(path))
    expect(kernel.unlink(path)).toBe(0)
    const third = must(kernel.lockFile(path))
    closeAll(second, third)
  })

  it('follows no link', () => {
    const path = join(directory, 'lock-link')
    symlinkSync(join(directory, 'elsewhere'), path)
    expect(answer(kernel.lockFile(path))).toBe('ELOOP')
    expect(answer(kernel.lockFile(join(directory, 'none', 'lock')))).toBe('ENOENT')
  })
})

it('names the process at the other end of a unix socket', () => {
  const [a, b] = openPair()
  const { pid, uid, gid } = kernel.peerCredentials(a) as { pid: number; uid: number; gid: number }
  expect([process.pid, -1]).toContain(pid)
  expect([uid, gid]).toEqual([process.geteuid?.(), process.getegid?.()])
  const [client, server] = connectTcp()
  expect(answer(kernel.peerCredentials(client) as number)).toMatch(/^E/)
  closeAll(a, b, client, server)
})

it('gives a descriptor up without closing it', () => {
  const [a, b] = openPair()
  const generation = kernel.generation(a)
  expect(answer(kernel.disown(a, generation + 1))).toBe('ESTALE')
  expect(kernel.disown(a, generation)).toBe(0)
  expect(answer(kernel.generation(a))).toBe('EBADF')
  expect(answer(kernel.close(a, generation))).toBe('EBADF')
  expect(kernel.adopt(a)).toBeGreaterThan(generation)
  closeAll(a, b)
})
