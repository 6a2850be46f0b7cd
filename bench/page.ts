/** The report: one page with a plot per metric, and the summary in the README. Made, never edited by hand. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { judgeAll, OUTCOME_COLUMNS, type Outcome, outcomeRow } from './budgets.ts'
import { captionOf, failures, METRIC_COLUMNS, metricRows, type SceneResult, type TrialResult } from './contest.ts'
import { daysOf, type Machine } from './machine.ts'
import { barPlot, budgetPlot, growthPlot } from './plots.ts'
import { writeSummary } from './readme.ts'
import { readResults, reportFolder } from './results.ts'
import type { Metric, Trial } from './trial.ts'

const STYLE = `body { font: 15px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #111827 }
table { border-collapse: collapse; margin: .5em 0 1.5em; font-variant-numeric: tabular-nums }
th, td { padding: .1em .7em; text-align: right; border-bottom: 1px solid #e5e7eb; font-weight: normal }
th:first-child, td:first-child { text-align: left }
thead th { font-weight: bold }
.met { color: #15803d } .not-met { color: #b91c1c; font-weight: bold } .note { color: #6b7280 }
svg { max-width: 100%; height: auto } h2 { margin-top: 2.5em } caption { text-align: left; color: #6b7280 }`

/** Writes index.html and budgets.svg into the folder of the results; the paths of all that was written. */
export function writeReport(folder: string, trials: readonly Trial[]): string[] {
  mkdirSync(folder, { recursive: true })
  const results = readResults(folder)
  const outcomes = judgeAll(results)
  const written = [join(folder, 'index.html'), join(folder, 'budgets.svg')]
  writeFileSync(written[0] as string, page([...orderOf(results, trials)], outcomes))
  writeFileSync(written[1] as string, `${budgetPlot(outcomes)}\n`)
  // The README tells of whole trials on one machine only.
  const all = [...results.values()]
  const isWhole = all.length > 0 && all.every((result) => result.size === 'whole') && placesOf(all).length === 1
  if (folder === reportFolder() && isWhole) written.push(writeSummary(results, outcomes))
  return written
}

function* orderOf(results: ReadonlyMap<string, TrialResult>, trials: readonly Trial[]): Generator<TrialResult> {
  for (const { name } of trials) {
    const result = results.get(name)
    if (result !== undefined) yield result
  }
}

function page(results: readonly TrialResult[], outcomes: readonly Outcome[]): string {
  const sizes = [...new Set(results.map(({ size }) => size))].filter((size) => size !== 'whole')
  const warning = `A ${sizes.join(' and ')} run: it shows that everything works, its figures mean little.`
  const rows = outcomes.map((outcome) => outcomeRow(outcome))
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>sockmux: benchmarks</title><style>${STYLE}</style></head>
<body>
<h1>sockmux: benchmarks</h1>
${sizes.length > 0 ? `<p class="not-met">${warning}</p>` : ''}
${placesOf(results).length > 1 ? `<p class="not-met">Not all on one machine, or not of one version.</p>` : ''}
${machineText(results)}
<p>Every figure is of a process of its own; ours and the peers take turns, and ratios compare processes of the same
round. Shown are the median of the rounds, the minimum and the maximum. docs/benchmarks.md says more.</p>
<h2>Budgets</h2>
${budgetPlot(outcomes)}
${htmlTable('medians of the rounds; ratio: ours / peer', OUTCOME_COLUMNS, rows)}
${results.map(section).join('\n')}
</body>
</html>
`
}

/** Machines and versions that figures should not be compared across. */
function placesOf(results: readonly TrialResult[]): string[] {
  const places = results.map(({ machine }) => {
    const { cpu, cores, system, node, sockmux } = machine
    return [cpu, cores, system, node, sockmux].join()
  })
  return [...new Set(places)]
}

function machineText(results: readonly TrialResult[]): string {
  const machine: Machine | undefined = results[0]?.machine
  if (machine === undefined) return '<p>No results yet: <code>npm run bench -- all</code>.</p>'
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`)
  const loads = results.flatMap(({ load }) => load)
  const all = [
    `${machine.cpu}, ${machine.cores} cores`,
    machine.system,
    `sockmux ${machine.sockmux}`,
    `Node ${machine.node}`,
    ...versions,
    machine.compiler,
    `load of the machine ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`,
  ]
  return `<p>Measured on ${escapeHtml(daysOf(results))}: ${escapeHtml(all.join(' · '))}.</p>`
}

function section(result: TrialResult): string {
  const growing = result.scenes.filter(({ size }) => size > 0)
  const missing = result.missing.map((reason) => `<p class="note">Left out: ${escapeHtml(reason)}</p>`)
  const options = Object.entries(result.values).map(([name, value]) => `--${name} ${value}`)
  const plots = result.metrics.flatMap((metric) => (growing.length > 1 ? growthPlots(metric, result, growing) : []))
  return `<h2 id="${escapeHtml(result.trial)}">${escapeHtml(result.trial)}</h2>
<p>${escapeHtml(result.summary)}<br><code>npm run bench -- ${escapeHtml([result.trial, ...options].join(' '))}</code>
<span class="note">load ${result.load.map((load) => load.toFixed(1)).join(' to ')}</span></p>
${missing.join('\n')}
${plots.join('\n')}
${result.scenes.map((scene) => sceneHtml(result, scene, growing.length > 1)).join('\n')}`
}

/** Scenes that differ in more than their size, as the active pipes do, are a plot each. */
function growthPlots(metric: Metric, result: TrialResult, growing: readonly SceneResult[]): string[] {
  const families = groupByFamily(growing)
  return [...families]
    .filter(([, scenes]) => scenes.length > 1)
    .map(([family, scenes]) => `<h4>${escapeHtml(family)}</h4>${growthPlot(metric, result, scenes)}`)
}

function groupByFamily(scenes: readonly SceneResult[]): Map<string, SceneResult[]> {
  const families = new Map<string, SceneResult[]>()
  for (const scene of scenes) {
    const family = families.get(familyOf(scene)) ?? []
    family.push(scene)
    families.set(familyOf(scene), family)
  }
  return families
}

function familyOf({ scene, size }: SceneResult): string {
  return scene.replace(String(size), '…')
}

function sceneHtml(result: TrialResult, scene: SceneResult, isPlotted: boolean): string {
  const parts = result.metrics.flatMap((metric) => {
    const rows = metricRows(metric, scene)
    if (rows.length === 0) return []
    const plot = isPlotted && scene.size > 0 ? '' : barPlot(metric, scene)
    return [`${plot}${htmlTable(captionOf(metric, scene), ['', ...METRIC_COLUMNS], rows)}`]
  })
  const notes = failures(scene).map((note) => `<p class="not-met">${escapeHtml(note)}</p>`)
  return `<h3>${escapeHtml(scene.scene)}</h3>\n${[...parts, ...notes].join('\n')}`
}

function htmlTable(caption: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = columns.map((cell) => `<th>${escapeHtml(cell)}</th>`).join('')
  const body = rows.map((row) => `<tr>${row.map(cellHtml).join('')}</tr>`).join('\n')
  return `<table><caption>${escapeHtml(caption)}</caption><thead><tr>${head}</tr></thead><tbody>
${body}
</tbody></table>`
}

function cellHtml(text: string): string {
  if (text === 'met') return '<td class="met">met</td>'
  return text === 'not met' ? '<td class="not-met">not met</td>' : `<td>${escapeHtml(text)}</td>`
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
