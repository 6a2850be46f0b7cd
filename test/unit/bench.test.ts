import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { describeScene, playScene, table } from '../../bench/contest.ts'
import { alternate, median, ratios, runCommand, spread } from '../../bench/measure.ts'
import { type CompiledPeer, compilePeer, type PeerSource } from '../../bench/peers.ts'
import { writeResults } from '../../bench/results.ts'
import { main } from '../../bench/run.ts'
import { runSubject, SUBJECTS, type SubjectAnswer } from '../../bench/subject.ts'
import type { Figures, Scene, Trial } from '../../bench/trial.ts'
import { EPOLL_PEER, LIBEVENT_PEER } from '../../bench/trials/readiness.ts'
import { ownedCount, pollerBackends } from '../../lib/sys/native.ts'
import { describeWhen, describeWithPeer, findHeader } from '../support/peers.ts'

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

  it('take turns: every subject once before any subject twice', async () => {
    const order: string[] = []
    const figures = await alternate(['a', 'b'], 3, (subject) => order.push(subject))
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

  it('show no ratio when the reference is missing', async () => {
    const result = await playScene(TRIAL, sceneOf({ alone: [{ time: 143 }, { time: 143 }] }), 2)
    expect(result.reference).toBeNull()
    expect(result.subjects[0]?.ratios).toEqual({})
    expect(describeScene(TRIAL.metrics, result).at(-1)).toMatch(/^alone( +143){3}( +-){3}$/)
  })

  it('show the ratio to the reference of the same turn', async () => {
    const turns = { libevent: [{ time: 100 }, { time: 1000 }], ours: [{ time: 200 }, { time: 2000 }] }
    const result = await playScene(TRIAL, sceneOf(turns), 2)
    expect(result.subjects[1]?.ratios).toEqual({ time: { min: 2, median: 2, max: 2 } })
    expect(describeScene(TRIAL.metrics, result).at(-1)).toMatch(/^ours +200 +1100 +2000( +2\.00){3}$/)
  })

  it('leave out those who do not know a metric', async () => {
    const turns = { libevent: [{ time: 1 }], ours: [{ other: 1 }] }
    const result = await playScene(TRIAL, sceneOf(turns), 1)
    expect(describeScene(TRIAL.metrics, result).at(-1)).toMatch(/^libevent /)
    expect(result.subjects[1]?.turns).toEqual([{ other: 1 }])
  })
})

describe('command line', () => {
  it('says what there is', async () => {
    const { status, text } = await bench('--help')
    expect(status).toBe(0)
    for (const name of ['readiness', 'bulk', 'server-hello', 'all', 'report']) expect(text).toContain(`  ${name} `)
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
    [['readiness', '--rounds', '1e3'], "--rounds must be an integer from 1 to 1000, got '1e3'"],
    [['timers', '--counts', '10,'], "--counts must be an integer from 1 to 1000000, got ''"],
    [['all', '--slow'], '--slow'],
    [['all', '--only', 'idle,nothing'], "no trial 'nothing'"],
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
    expect(JSON.parse(runCommand(['cat', path], PEER_MS_MAX))).toEqual({ trial: 'readiness' })
  })
})

describe('commands', () => {
  it('that fail are errors with what they said', () => {
    expect(() => runCommand(['sh', '-c', 'echo broken >&2; exit 3'], PEER_MS_MAX)).toThrow(/status 3\nbroken/)
  })
})

const TRIAL: Pick<Trial, 'name' | 'metrics' | 'references'> = {
  name: 'trial',
  metrics: [{ name: 'time', title: 'time', unit: 'ns', digits: 0, better: 'less' }],
  references: ['libevent'],
}

/** Subjects that answer with what stands here, turn by turn. */
function sceneOf(turns: Record<string, Figures[]>): Scene {
  const subjects = Object.entries(turns).map(([name, figures]) => ({
    name,
    isOurs: name === 'ours',
    measure: () => figures.shift() as Figures,
  }))
  return { name: 'scene', size: 0, subjects }
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
