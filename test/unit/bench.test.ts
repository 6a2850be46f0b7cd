import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { alternate, median, ratios, runCommand, spread } from '../../bench/measure.ts'
import { type CompiledPeer, compilePeer, type PeerSource } from '../../bench/peers.ts'
import type { ReadinessShape } from '../../bench/pipe-ring.ts'
import { table, writeResults } from '../../bench/report.ts'
import { main } from '../../bench/run.ts'
import { runSubject, SUBJECTS, type SubjectAnswer } from '../../bench/subject.ts'
import { describeShape, EPOLL_PEER, LIBEVENT_PEER, measureShape } from '../../bench/trials/readiness.ts'
import { ownedCount, pollerBackends } from '../../lib/sys/native.ts'
import { describeWhen, describeWithPeer, describeWithPeers, findHeader } from '../support/peers.ts'

const PEER_MS_MAX = 10_000
const folder = mkdtempSync(join(tmpdir(), 'sockmux-bench-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function bench(...parameters: string[]): Promise<{ status: number; text: string }> {
  const lines: string[] = []
  const status = await main(parameters, (line) => lines.push(line))
  return { status, text: lines.join('\n') }
}

describe('statistics', () => {
  it('take the middle of an odd and the mean of the two middles of an even number of values', () => {
    expect(median([5, 1, 3])).toBe(3)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([7])).toBe(7)
    expect(() => median([])).toThrow(RangeError)
  })

  it('leave the values as they are', () => {
    const values = [3, 1, 2]
    expect(spread(values)).toEqual({ min: 1, median: 2, max: 3 })
    expect(values).toEqual([3, 1, 2])
  })

  it('compare within a turn, never across turns', () => {
    expect(ratios([2, 40], [1, 10])).toEqual({ min: 2, median: 3, max: 4 })
  })

  it('take turns: every subject once before any subject twice', () => {
    const order: string[] = []
    const figures = alternate(['a', 'b'], 3, (subject) => order.push(subject))
    expect(order).toEqual(['a', 'b', 'a', 'b', 'a', 'b'])
    expect(figures).toEqual([
      [1, 3, 5],
      [2, 4, 6],
    ])
  })
})

describe('tables', () => {
  it('align text to the left and numbers to the right', () => {
    expect(
      table([
        ['', 'ns'],
        ['longer', '7'],
        ['s', '1000'],
      ]),
    ).toEqual(['          ns', 'longer     7', 's       1000'])
  })

  it('show no ratio when the reference is missing', () => {
    const figures = measureShape([{ name: 'alone', launch: () => answer(1000) }], SHAPE, 2, 'epoll')
    expect(figures[0]?.timesLibevent).toBeNull()
    expect(describeShape(SHAPE, figures).at(-1)).toMatch(/^alone( +143){4}( +-){4}$/)
  })

  it('show the ratio to the reference of the same turn', () => {
    const times = [100, 1000]
    const contenders = [
      { name: 'libevent', launch: () => answer(times[0] as number) },
      { name: 'ours', launch: () => answer(2 * (times.shift() as number)) },
    ]
    const figures = measureShape(contenders, SHAPE, 2, 'epoll')
    expect(figures[1]?.timesLibevent).toEqual({ min: 2, median: 2, max: 2 })
    expect(figures[1]?.fastestTimesLibevent).toBe(2)
  })
})

describe('command line', () => {
  it('says what there is', async () => {
    const { status, text } = await bench('--help')
    expect(status).toBe(0)
    for (const name of ['readiness', 'bulk', 'handshakes']) expect(text).toContain(`  ${name} `)
    expect((await bench()).status).toBe(2)
  })

  it('lists the options of a trial', async () => {
    const { status, text } = await bench('readiness', '--help')
    expect(status).toBe(0)
    for (const name of ['pipes', 'active', 'writes', 'rounds', 'backend', 'json', 'help']) {
      expect(text).toContain(`--${name} `)
    }
  })

  it.each([
    [['nothing'], "no trial 'nothing'"],
    [['readiness', '--speed', '1'], '--speed'],
    [['readiness', 'more'], 'more'],
    [['readiness', '--pipes'], '--pipes'],
    [['readiness', '--pipes', '0'], "--pipes must be an integer from 1 to 1000000, got '0'"],
    [['readiness', '--rounds', '1e3'], "--rounds must be an integer from 1 to 1000000, got '1e3'"],
    [['readiness', '--pipes', '5', '--active', '6'], "--active must be at most --pipes (5), got '6'"],
    [['bulk', '--megabytes', '0'], "--megabytes must be an integer from 1 to 1000000, got '0'"],
    [['handshakes', '--parallel', '-1'], '--parallel'],
    [['readiness', '--backend', 'select'], "--backend must be one of epoll, poll, got 'select'"],
  ])('refuses %j', async (parameters, reason) => {
    const { status, text } = await bench(...parameters)
    expect(status).toBe(2)
    expect(text).toContain(reason)
  })
})

describe('results', () => {
  it('are written as JSON into a folder that need not exist', () => {
    const path = join(folder, 'deep', 'readiness.json')
    writeResults(path, { trial: 'readiness' })
    expect(runCommand(['cat', path], PEER_MS_MAX)).toBe('{\n  "trial": "readiness"\n}\n')
  })
})

describe('commands', () => {
  it('that fail are errors with what they said', () => {
    expect(() => runCommand(['sh', '-c', 'echo broken >&2; exit 3'], PEER_MS_MAX)).toThrow(/status 3\nbroken/)
  })
})

const SHAPE: ReadinessShape = { pipes: 10, active: 3, writes: 4 }

function answer(nanoseconds: number): SubjectAnswer {
  return { description: 'a subject', nanoseconds: [nanoseconds] }
}

describe.each(Object.keys(SUBJECTS))('%s', (name) => {
  // The rounds end by themselves only when every byte was read back, so what is checked is that they end.
  it.each([
    { pipes: 1, active: 1, writes: 0 },
    { pipes: 1, active: 1, writes: 5 },
    { pipes: 4, active: 4, writes: 9 },
    { pipes: 10, active: 3, writes: 25 },
    { pipes: 10, active: 3, writes: 2 },
  ])('reads back all of $pipes pipes, $active active, $writes writes, and closes what it opened', async (shape) => {
    for (const backend of pollerBackends) {
      const owned = ownedCount()
      const numbers = [shape.pipes, shape.active, shape.writes, 1, 3].map(String)
      const { description, nanoseconds } = await runSubject(name, [backend, ...numbers])
      expect(description).toContain(backend)
      expect(nanoseconds).toHaveLength(3)
      expect(nanoseconds.every((time) => time > 0)).toBe(true)
      expect(ownedCount()).toBe(owned)
    }
  })
})

it('a subject that does not exist is refused', async () => {
  await expect(runSubject('readiness-none', [])).rejects.toThrow('no subject readiness-none')
})

describeWithPeers(['nginx', 'openssl', 'curl', 'bash'], () => {
  it('a long transfer is measured each way, beside curl', async () => {
    const { status, text } = await bench('bulk', '--megabytes', '2', '--rounds', '1', '--json', join(folder, 'b.json'))
    expect(status).toBe(0)
    for (const row of ['http down', 'http up', 'https down', 'https up'])
      expect(text).toMatch(new RegExp(`^${row} `, 'm'))
  })

  it('connections are counted, full and resumed', async () => {
    const small = ['--connections', '20', '--parallel', '5', '--rounds', '1']
    const { status, text } = await bench('handshakes', ...small, '--json', join(folder, 'h.json'))
    expect(status).toBe(0)
    expect(text).toMatch(/^full sockmux .* 0$/m)
    expect(text).toMatch(/^resumed sockmux .* 1\d$/m)
  })
})

describeWithPeer('cc', () => {
  it('a header that is not there is named, with the package that brings it', () => {
    const source: PeerSource = { name: 'none', header: 'no/such.h', debianPackage: 'libsuch-dev', libraries: [] }
    expect(compilePeer(source)).toEqual({ missing: 'no header no/such.h (apt-get install libsuch-dev)' })
  })

  it('a program that does not compile is left out, with the reason', () => {
    const source: PeerSource = { name: 'none', header: 'stdio.h', debianPackage: 'libc6-dev', libraries: [] }
    expect(compilePeer(source)).toEqual({ missing: expect.stringContaining('none.c does not compile') })
  })

  describeWhen(findHeader('event2/event.h') !== null, 'libevent', 'event2/event.h is not installed', () => {
    it.each(pollerBackends)('runs the shape by %s', (backend) => {
      const { description, nanoseconds } = runPeer(compilePeer(LIBEVENT_PEER), backend)
      expect(description).toContain(`, ${backend}`)
      expect(nanoseconds).toHaveLength(3)
    })
  })

  describeWhen(pollerBackends.includes('epoll'), 'raw epoll', 'this platform has no epoll', () => {
    it('runs the shape', () => {
      expect(runPeer(compilePeer(EPOLL_PEER), 'epoll').nanoseconds).toHaveLength(3)
    })
  })
})

function runPeer(peer: CompiledPeer, backend: string): SubjectAnswer {
  if ('missing' in peer) throw new Error(peer.missing)
  return JSON.parse(runCommand([peer.path, backend, '10', '3', '25', '1', '3'], PEER_MS_MAX))
}
