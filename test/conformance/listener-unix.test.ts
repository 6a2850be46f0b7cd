/** Listeners on unix sockets, on real files: permission bits, what an earlier run left, what close removes. */
import { existsSync, lstatSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Family, kernel, Listener, type ListenOptions, Multi } from '../../lib/index.ts'
import type { Connection } from '../../lib/server/connection/connection.ts'
import { ownedCount } from '../../lib/sys/native.ts'
import { drivers } from '../support/drivers.ts'
import { connectClient } from '../support/local-client.ts'
import { describeWhen } from '../support/peers.ts'

let directory: string
let path: string
let multi: Multi
let ownedBefore: number

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sockmux-unix-'))
  path = join(directory, 'socket')
  ownedBefore = ownedCount()
  multi = new Multi()
})

afterEach(() => {
  multi.close()
  expect(ownedCount()).toBe(ownedBefore)
  rmSync(directory, { recursive: true })
})

function listen(options: ListenOptions = {}): Listener {
  return new Listener(multi, { path, ...options }, (connection) => {
    connection.write(Buffer.from('hello'))
    connection.close()
  })
}

function modeOf(file: string): number {
  return lstatSync(file).mode & 0o7777
}

/** A socket whose program is gone: the file is there, and nobody listens. */
function leaveStale(): void {
  const fd = kernel.socket(Family.UNIX)
  expect(kernel.bind(fd, Family.UNIX, path, 0)).toBe(0)
  kernel.listen(fd, 1)
  kernel.close(fd)
}

describe.each(drivers)('by $name', ({ drive }) => {
  it('takes connections, and knows who they are', async () => {
    const accepted: Connection[] = []
    const listener = new Listener(multi, { path }, (connection) => {
      accepted.push(connection)
      expect(connection.peer).toMatchObject({ family: Family.UNIX, address: '' })
      expect(connection.peerCredentials?.uid).toBe(process.getuid?.())
      expect(connection.local).toEqual(listener.address)
      connection.write(Buffer.from('hello'))
      connection.close()
    })
    expect(listener.address).toEqual({ family: Family.UNIX, address: path, port: 0 })
    const clients = [1, 2, 3].map(() => connectClient(null, listener.address))
    await drive(multi, { until: () => clients.every((client) => client.isOver) })
    expect(clients.map((client) => client.received)).toEqual(['hello', 'hello', 'hello'])
    expect(accepted).toHaveLength(3)
    for (const client of clients) client.close()
    listener.close()
    expect(existsSync(path)).toBe(false)
  })
})

describe('the mode', () => {
  it.each([0, 0o022, 0o077, 0o777])(
    'is what was asked for under umask %o, and without asking what umask leaves',
    (umask) => {
      const before = process.umask(umask)
      try {
        for (const mode of [0o600, 0o660, 0o666, 0o777, 0]) {
          const listener = listen({ mode })
          expect(modeOf(path)).toBe(mode)
          listener.close()
        }
        const listener = listen()
        expect(modeOf(path)).toBe(0o777 & ~umask)
        listener.close()
      } finally {
        process.umask(before)
      }
    },
  )

  it('is never wider than asked for, not for a moment', () => {
    const before = process.umask(0)
    const seen: number[] = []
    const watching = new Multi({
      kernel: {
        ...kernel,
        bind(...endpoint) {
          const result = kernel.bind(...endpoint)
          seen.push(modeOf(path))
          return result
        },
      },
    })
    new Listener(watching, { path, mode: 0o600 })
    process.umask(before)
    expect(seen).toEqual([0o600])
    watching.close()
  })
})

describe('a path in use', () => {
  it('is refused, whatever is there', () => {
    const first = listen()
    expect(() => listen()).toThrow(expect.objectContaining({ code: 'EADDRINUSE', syscall: 'bind', address: path }))
    expect(() => listen({ stale: 'replace' })).toThrow(/bind EADDRINUSE/)
    expect(readdirSync(directory)).toEqual(['socket'])
    first.close()
    leaveStale()
    expect(() => listen()).toThrow(/EADDRINUSE/)
    expect(() => listen({ stale: 'refuse' })).toThrow(/EADDRINUSE/)
  })

  it('is replaced when it is stale and that was asked for', () => {
    leaveStale()
    const stale = lstatSync(path).ino
    const listener = listen({ stale: 'replace', mode: 0o640 })
    expect(lstatSync(path).isSocket()).toBe(true)
    expect(modeOf(path)).toBe(0o640)
    expect(readdirSync(directory)).toEqual(['socket'])
    const client = connectClient(null, listener.address)
    expect(client.failed).toBe(null)
    client.close()
    listener.close()
    expect(stale).toBeGreaterThan(0)
    expect(readdirSync(directory)).toEqual([])
  })

  it('is never replaced when it is no socket', () => {
    writeFileSync(path, 'precious')
    expect(() => listen({ stale: 'replace' })).toThrow(/EADDRINUSE/)
    expect(readdirSync(directory)).toEqual(['socket'])
    expect(lstatSync(path).isFile()).toBe(true)
  })

  it('is left to whoever replaces it at this moment', () => {
    leaveStale()
    const lock = kernel.lockFile(`${path}.lock`)
    expect(() => listen({ stale: 'replace' })).toThrow(/EADDRINUSE/)
    kernel.close(lock)
    listen({ stale: 'replace' }).close()
    expect(readdirSync(directory)).toEqual([])
  })

  it('with a full queue is not stale', () => {
    const busy = listen({ backlog: 1, enabled: false })
    const clients = Array.from({ length: 4 }, () => connectClient(null, busy.address))
    expect(clients.some((client) => client.failed === 'EAGAIN')).toBe(true)
    expect(() => listen({ stale: 'replace' })).toThrow(/EADDRINUSE/)
    for (const client of clients) client.close()
  })
})

describe('closing', () => {
  it('removes the file only while it is ours', () => {
    const listener = listen()
    renameSync(path, `${path}.moved`)
    const second = listen()
    listener.close()
    expect(existsSync(path)).toBe(true)
    second.close()
    expect(readdirSync(directory)).toEqual(['socket.moved'])
  })

  it('leaves the file to the next owner of the descriptor', () => {
    const handle = listen().release()
    expect(existsSync(path)).toBe(true)
    new Listener(multi, { fd: handle }).close()
    expect(existsSync(path)).toBe(false)
  })

  it('leaves descriptor and file when it was told so', () => {
    const listener = listen({ closeOnEnd: false })
    const { fd } = listener
    listener.close()
    expect(existsSync(path)).toBe(true)
    const client = connectClient(null, listener.address)
    expect(client.failed).toBe(null)
    client.close()
    expect(kernel.close(fd)).toBe(0)
  })
})

it.each([
  ['ENOENT', () => join(directory, 'none', 'socket')],
  ['ENAMETOOLONG', () => join(directory, 'x'.repeat(200))],
])('%s is told with its path, and nothing is left', (code, where) => {
  const wrong = where()
  expect(() => listen({ path: wrong })).toThrow(expect.objectContaining({ code, syscall: 'bind', address: wrong }))
  expect(() => listen({ path: wrong, stale: 'replace' })).toThrow(expect.objectContaining({ code }))
  expect(readdirSync(directory)).toEqual([])
})

describeWhen(process.platform === 'linux', 'abstract names', 'are Linux only', () => {
  it('need no file, and are free again at once', async () => {
    const name = `\0sockmux-${process.pid}`
    const listener = listen({ path: name })
    expect(listener.address.address).toBe(name)
    expect(() => listen({ path: name })).toThrow(
      expect.objectContaining({ code: 'EADDRINUSE', address: `@${name.slice(1)}` }),
    )
    const client = connectClient(null, listener.address)
    await drivers[0]?.drive(multi, { until: () => client.ended })
    expect(client.received).toBe('hello')
    client.close()
    listener.close()
    listen({ path: name }).close()
  })
})
