/** What a Multi owes nobody any more: a transfer taken back before it ran, and one removed while it runs. */
import { expect, it } from 'vitest'
import { Transfer } from '../../lib/client/transfer.ts'
import { Multi } from '../../lib/multi/multi.ts'
import { SOCKET_TIMEOUT } from '../../lib/sys/readiness.ts'
import { simulate } from '../sim/simulation.ts'
import { serveScript } from './scripted.ts'

it('takes the timer of 0 back when what was added is removed before it ran', () => {
  const told: number[] = []
  using multi = new Multi<Transfer>({ timerFunction: (timeoutMs) => void told.push(timeoutMs) })
  const transfer = new Transfer({ url: 'http://127.0.0.1:1/' })
  multi.add(transfer)
  multi.remove(transfer)
  expect([told, multi.timeout()]).toEqual([[0, -1], -1])
})

it('calls no callback of a transfer that is removed, nor of one whose Multi is closed', () => {
  const calls: string[] = []
  const multi = new Multi<Transfer>()
  const options = {
    url: 'http://127.0.0.1:1/',
    onProgress: () => void calls.push('progress'),
    onDebug: () => void calls.push('debug'),
  }
  const [removed, closed] = [new Transfer(options), new Transfer(options)]
  multi.add(removed)
  multi.add(closed)
  multi.remove(removed)
  multi.close()
  expect(calls).toEqual([])
})

it('finds junk that came onto an idle connection, also when the timer is served before descriptors', () => {
  const simulation = simulate(1)
  const { kernel, clock, resolver, world } = simulation
  const server = serveScript(simulation, 81, ({ peer, number }) => {
    peer.write(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n${number === 1 ? 'first' : 'other'}`)
    if (number === 1) world.after(5, () => peer.write('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison'))
  })
  const multi = new Multi<Transfer>({ kernel, clock, resolver })
  const fetchBody = (): string => {
    let body = ''
    const transfer = new Transfer({
      url: server.url,
      onData: (chunk) => {
        body += Buffer.from(chunk).toString()
      },
    })
    multi.add(transfer)
    for (let turn = 0; multi.running > 0 && turn < 100; turn++) {
      multi.socketAction(SOCKET_TIMEOUT)
      if (multi.running > 0) multi.poll(1000)
    }
    multi.remove(transfer)
    return body
  }
  expect(fetchBody()).toBe('first')
  world.advanceTo(world.now + 500)
  expect(fetchBody()).toBe('other')
  expect(server.connections.length).toBe(2)
  multi.close()
})

it('tells a transfer that was removed inside its callback nothing more of what had been read', () => {
  const simulation = simulate(1)
  const { kernel, clock, resolver } = simulation
  const server = serveScript(simulation, 81, ({ peer }) => {
    peer.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(10)}0\r\n\r\n`)
  })
  const multi = new Multi<Transfer>({ kernel, clock, resolver })
  let chunks = 0
  const transfer = new Transfer({
    url: server.url,
    onData: () => {
      if (++chunks === 3) multi.remove(transfer)
    },
  })
  multi.add(transfer)
  for (let turn = 0; multi.running > 0 && turn < 100; turn++) {
    multi.poll(1000)
    multi.perform()
  }
  expect([chunks, multi.running, multi.infoRead(), multi.stats.connections]).toEqual([3, 0, undefined, 0])
  multi.close()
})
