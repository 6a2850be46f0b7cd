/** Listeners in loops that others wrote, and with descriptors from a service manager: libevent, GLib, systemd. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import { plugIntoGlib } from '../../examples/glib.ts'
import { plugIntoLibevent } from '../../examples/libevent.ts'
import type { Plug } from '../../examples/loop.ts'
import { Family, Listener, Multi, Transfer } from '../../lib/index.ts'
import { transpile } from '../conformance/typescript-worker.ts'
import { connectClient } from '../support/local-client.ts'
import { describeWithLibrary, describeWithPeer } from '../support/peers.ts'

const LIBEVENT = 'libevent-2.1.so.7'
const GLIB = 'libglib-2.0.so.0'
const CLIENTS = 100
const RUN_MS_MAX = 60_000
const RESPONSE = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok'

/** A listener serves whoever comes, and a transfer of the same Multi, until all were there. */
function expectServed(plug: Plug): void {
  const multi = new Multi()
  const loop = plug(multi)
  let accepted = 0
  const listener = new Listener(multi, { host: '127.0.0.1', port: 0, acceptBudget: 8 }, (connection) => {
    if (++accepted === CLIENTS + 1) listener.close()
    connection.write(Buffer.from(RESPONSE))
    connection.close()
  })
  const { port } = listener.address
  const clients = Array.from({ length: CLIENTS }, () => connectClient(null, listener.address))
  for (const client of clients) client.end()
  multi.add(new Transfer({ url: `http://127.0.0.1:${port}/` }))
  loop.run?.()
  expect(multi.active).toBe(false)
  expect(multi.infoRead()).toMatchObject({ code: 0, transfer: { info: { status: 200 } } })
  expect(clients.map((client) => client.received)).toEqual(new Array(CLIENTS).fill(RESPONSE))
  for (const client of clients) client.close()
  loop.close()
  multi.close()
}

/** Switched off and on in the loop, it takes nobody, then everybody. */
function expectSwitched(plug: Plug): void {
  const multi = new Multi()
  const loop = plug(multi)
  const listener = new Listener(multi, { host: '127.0.0.1', port: 0 }, (connection) => {
    connection.close()
    listener.disable()
    queue.pop()?.close()
    if (queue.length === 0) listener.close()
    else listener.enable()
  })
  const queue = Array.from({ length: 5 }, () => connectClient(null, listener.address))
  loop.run?.()
  expect(queue).toEqual([])
  loop.close()
  multi.close()
}

describeWithLibrary(LIBEVENT, () => {
  it('is the loop of a listener and of a transfer to it', () => expectServed(plugIntoLibevent))
  it('is the loop of a listener that is switched off and on', () => expectSwitched(plugIntoLibevent))
})

describeWithLibrary(GLIB, () => {
  it('is the loop of a listener and of a transfer to it', () => expectServed(plugIntoGlib))
  it('is the loop of a listener that is switched off and on', () => expectSwitched(plugIntoGlib))
})

describeWithPeer('systemd-socket-activate', (program) => {
  it('passes a unix socket with the connection that waits in its queue', { timeout: RUN_MS_MAX }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sockmux-activate-'))
    const path = join(directory, 'socket')
    const { entry, remove } = transpile('test/conformance/listening-process.ts')
    const parameters = ['-l', path, '--fdname=web', process.execPath, entry, 'passed']
    const child = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'pipe'] })
    const exited = once(child, 'exit')
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    // It says when it listens; the process is started by the first connection.
    await once(child.stderr, 'data')
    const client = connectClient(null, { family: Family.UNIX, address: path, port: 0 })
    const { passed } = JSON.parse((await lines.next()).value)
    expect(passed).toEqual([{ name: 'web', fd: 3, family: Family.UNIX, accepting: true }])
    await expect.poll(() => client.isOver, { timeout: RUN_MS_MAX / 2 }).toBe(true)
    expect(client.received).toBe('web')
    client.close()
    child.stdin.end()
    expect(await exited).toEqual([0, null])
    remove()
    rmSync(directory, { recursive: true })
  })
})
