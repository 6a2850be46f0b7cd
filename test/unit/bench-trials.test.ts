import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { judge, judgeAll } from '../../bench/budgets.ts'
import { runTrial, type SubjectResult, type TrialResult } from '../../bench/contest.ts'
import { spread } from '../../bench/measure.ts'
import { writeReport } from '../../bench/page.ts'
import { summary, withSummary } from '../../bench/readme.ts'
import { writeResults } from '../../bench/results.ts'
import { main } from '../../bench/run.ts'
import { MissingPeerError, type Trial } from '../../bench/trial.ts'
import { TRIALS } from '../../bench/trials.ts'
import { arePeersRequired } from '../support/peers.ts'

// Every trial runs here as small as it can be, so that none rots. What it measures then means nothing.
const TRIAL_MS_MAX = 120_000
/** Built by a command of its own, and no peer. */
const BINARIES = /^the binaries of sockmux/
const folder = mkdtempSync(join(tmpdir(), 'sockmux-bench-trials-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** null when a peer is missing without which the trial makes no sense. */
async function runTiny(trial: Trial): Promise<TrialResult | null> {
  try {
    const result = await runTrial(trial, trial.tiny, () => {})
    const missing = result.missing.filter((reason) => !BINARIES.test(reason))
    if (arePeersRequired()) expect(missing).toEqual([])
    else if (missing.length > 0) process.stderr.write(`${trial.name}: left out: ${missing.join('; ')}\n`)
    return result
  } catch (error) {
    if (!(error instanceof MissingPeerError) || arePeersRequired()) throw error
    process.stderr.write(`${trial.name}: not tried: ${error.message}\n`)
    return null
  }
}

describe('every trial runs in small', () => {
  it.each(TRIALS)(
    '$name',
    async (trial) => {
      const result = await runTiny(trial)
      if (result === null) return
      writeResults(join(folder, `${trial.name}.json`), result)
      expect(result.scenes.length).toBeGreaterThan(0)
      for (const { scene, subjects } of result.scenes) {
        expect(
          subjects.some(({ isOurs }) => isOurs),
          scene,
        ).toBe(true)
        for (const { subject, turns, spread: spreads } of subjects) {
          expect(turns, subject).toHaveLength(1)
          expect(Object.keys(spreads), `${scene}, ${subject}`).not.toEqual([])
          for (const value of Object.values(spreads)) expect(Number.isFinite(value.median), subject).toBe(true)
        }
      }
    },
    TRIAL_MS_MAX,
  )
})

describe('the report', () => {
  it('is a page with every trial that has results, and a plot of the budgets', () => {
    const trial = madeUp('readiness', '1000 pipes, 100 active, 1000 writes', 'median', {
      'sockmux batched': [105, 90],
      libevent: [100, 100],
    })
    const into = join(folder, 'made-up')
    writeResults(join(into, 'readiness.json'), trial)
    expect(writeReport(into, TRIALS)).toEqual([join(into, 'index.html'), join(into, 'budgets.svg')])
    const page = readFileSync(join(into, 'index.html'), 'utf8')
    expect(page).toContain('<h2 id="readiness">readiness</h2>')
    expect(page).toContain('<td class="met">met</td>')
    expect(page).toContain('not measured')
    expect(page).toContain('left &amp; out')
    expect(page.match(/<svg /g)?.length).toBeGreaterThanOrEqual(2)
    expect(readFileSync(join(into, 'budgets.svg'), 'utf8')).toMatch(/^<svg .*0\.9[78]/s)
  })

  it('is made of whatever there is by `bench report`', async () => {
    const lines: string[] = []
    expect(await main(['report', '--into', folder], (line) => lines.push(line))).toBe(0)
    expect(lines).toEqual([`written: ${join(folder, 'index.html')}`, `written: ${join(folder, 'budgets.svg')}`])
  })

  it('makes some trials anew and keeps the others, and says when machines differ', async () => {
    const into = join(folder, 'anew')
    writeResults(
      join(into, 'readiness.json'),
      madeUp('readiness', 'a scene', 'median', { sockmux: [1], libevent: [1] }),
    )
    expect(await main(['all', '--only', 'timers', '--tiny', '--into', into], () => {})).toBe(0)
    const page = readFileSync(join(into, 'index.html'), 'utf8')
    for (const name of ['readiness', 'timers']) expect(page).toContain(`<h2 id="${name}">`)
    expect(page).toContain('Not all on one machine')
    expect(page).toMatch(/Measured on 2026-01-01 to 20\d\d-/)
  })

  it('says what a budget came to, by the median of the ratios of each round', () => {
    const [first] = judgeAll(new Map())
    expect(first?.verdict).toBe('not measured')
    const budget = first?.budget
    if (budget === undefined) throw new Error('there are no budgets')
    const outcome = (ours: number[]): string => {
      const figures = { [budget.subject]: ours, [budget.peer ?? '']: [100, 200, 100] }
      return judge(budget, madeUp(budget.trial, budget.scene, budget.metric, figures)).verdict
    }
    expect(outcome([110, 900, 100])).toBe('met')
    expect(outcome([111, 900, 112])).toBe('not met')
  })

  it('puts its summary between the marks of the README, and nowhere else', () => {
    const marks = ['<!-- benchmarks: written by `npm run bench -- all` -->', '<!-- end of benchmarks -->']
    const text = `before\n${marks.join('\nold\n')}\nafter\n`
    const once = withSummary(text, 'new')
    expect(once).toBe(`before\n${marks[0]}\n\nnew\n\n${marks[1]}\nafter\n`)
    expect(withSummary(once, 'new')).toBe(once)
    expect(() => withSummary('no marks', 'new')).toThrow('once each')
    expect(readFileSync('README.md', 'utf8')).toContain(marks[0])
  })

  it('sums up in a table of Markdown', () => {
    const lines = summary(new Map(), judgeAll(new Map())).split('\n')
    expect(lines.filter((line) => line.startsWith('| '))).toHaveLength(2 + judgeAll(new Map()).length)
  })
})

function madeUp(trial: string, scene: string, metric: string, figures: Record<string, number[]>): TrialResult {
  const subjects = Object.entries(figures).map(([subject, values]): SubjectResult => {
    const turns = values.map((value) => ({ [metric]: value }))
    const isOurs = subject.startsWith('sockmux')
    return { subject, isOurs, turns, spread: { [metric]: spread(values) }, ratios: {} }
  })
  const machine = { date: '2026-01-01T00:00:00Z', system: 'a system', cpu: 'a processor', cores: 2, load: 0 }
  return {
    trial,
    summary: 'made up',
    machine: { ...machine, node: 'v20', sockmux: '0', compiler: 'cc', versions: {} },
    load: [0, 0],
    values: {},
    metrics: [{ name: metric, title: metric, unit: 'ns', digits: 0, better: 'less' }],
    sizes: 'pipes',
    missing: ['left & out'],
    scenes: [{ scene, size: 1000, reference: null, subjects }],
    size: 'chosen',
  }
}
