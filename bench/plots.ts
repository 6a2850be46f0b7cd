/** Plots as SVG text, drawn by echarts in this very process: bars with their spread, growth with size, budgets. */
import * as echarts from 'echarts'
import type { Outcome } from './budgets.ts'
import type { SceneResult, SubjectResult, TrialResult } from './contest.ts'
import type { Spread } from './measure.ts'
import type { Metric } from './trial.ts'

const WIDTH = 720
const ROW_HEIGHT = 26
const GROWTH_HEIGHT = 340
const MARGIN = 70
const LABEL_WIDTH = 250
const OURS = ['#c2410c', '#ea8a4d', '#f2b48c']
const OTHERS = ['#334155', '#0f766e', '#7c6bb0', '#94a3b8', '#4d7c0f']
const WHISKER = '#111827'
const LIMIT = '#16a34a'
const WHISKER_HALF = 4

interface Bar {
  readonly name: string
  readonly color: string
  readonly value: Spread
  /** Marked across the bar. */
  readonly limit: number | null
}

function draw(height: number, option: echarts.EChartsOption): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  chart.setOption({ animation: false, backgroundColor: '#ffffff', textStyle: { fontFamily: 'sans-serif' }, ...option })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

function coloured(subjects: readonly SubjectResult[]): Map<string, string> {
  let ours = 0
  let others = 0
  return new Map(
    subjects.map(({ subject, isOurs }) => {
      const color = isOurs ? OURS[ours++ % OURS.length] : OTHERS[others++ % OTHERS.length]
      return [subject, color ?? WHISKER]
    }),
  )
}

/** One bar per subject, of one metric in one scene. */
export function barPlot(metric: Metric, scene: SceneResult): string {
  const colors = coloured(scene.subjects)
  const bars = scene.subjects.flatMap(({ subject, spread }): Bar[] => {
    const value = spread[metric.name]
    return value === undefined ? [] : [{ name: subject, color: colors.get(subject) ?? WHISKER, value, limit: null }]
  })
  return horizontalBars(titleOf(metric), bars, metric.digits)
}

/** Ours as a multiple of the peer, per budget, with the budget as a mark; green is what stays within it. */
export function budgetPlot(outcomes: readonly Outcome[]): string {
  const bars = outcomes.flatMap(({ budget, value, verdict }): Bar[] => {
    if (value === null || budget.peer === null) return []
    const color = (verdict === 'met' ? OURS[0] : OTHERS[3]) ?? WHISKER
    return [{ name: `${budget.what}\n× ${budget.peer}`, color, value, limit: budget.limit }]
  })
  return horizontalBars('ours as a multiple of the peer (orange: within the budget, which is the green mark)', bars, 2)
}

function horizontalBars(title: string, bars: readonly Bar[], digits: number): string {
  const rows = bars.toReversed()
  const height = MARGIN + rows.length * ROW_HEIGHT * (rows.some(({ name }) => name.includes('\n')) ? 1.5 : 1)
  return draw(height, {
    title: { text: title, textStyle: { fontSize: 13 } },
    grid: { left: LABEL_WIDTH, right: 60, top: 35, bottom: 30 },
    xAxis: { type: 'value', min: 0 },
    yAxis: { type: 'category', data: rows.map(({ name }) => name), axisLabel: { fontSize: 11 } },
    series: [
      {
        type: 'bar',
        barWidth: '60%',
        data: rows.map(({ value, color }) => ({ value: value.median, itemStyle: { color } })),
        label: {
          show: true,
          position: 'insideLeft',
          color: '#ffffff',
          formatter: ({ dataIndex }) => rows[dataIndex]?.value.median.toFixed(digits) ?? '',
        },
      },
      {
        type: 'custom',
        z: 10,
        encode: { x: [1, 2], y: 0 },
        data: rows.map(({ value, limit }, index) => [index, value.min, value.max, limit ?? Number.NaN]),
        renderItem: (_, api) => {
          const at = (number: unknown): number[] => api.coord([number as number, api.value(0)])
          const [left = 0, y = 0] = at(api.value(1))
          const [right = 0] = at(api.value(2))
          const limit = api.value(3) as number
          const [mark = 0] = Number.isNaN(limit) ? [] : at(limit)
          const half = ROW_HEIGHT / 2
          const line = (x1: number, y1: number, x2: number, y2: number, stroke: string, lineWidth: number) =>
            ({ type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke, lineWidth } }) as const
          return {
            type: 'group',
            children: [
              line(left, y, right, y, WHISKER, 1),
              line(left, y - WHISKER_HALF, left, y + WHISKER_HALF, WHISKER, 1),
              line(right, y - WHISKER_HALF, right, y + WHISKER_HALF, WHISKER, 1),
              ...(Number.isNaN(limit) ? [] : [line(mark, y - half, mark, y + half, LIMIT, 3)]),
            ],
          }
        },
      },
    ],
  })
}

/** How a metric grows with the size of the scene: a line per subject, with its spread, both axes logarithmic. */
export function growthPlot(metric: Metric, result: TrialResult, scenes: readonly SceneResult[]): string {
  const first = scenes[0]?.subjects ?? []
  const colors = coloured(first)
  const lines = first.map(({ subject, isOurs }) => ({
    subject,
    isOurs,
    points: scenes.flatMap(({ size, subjects }) => {
      const value = subjects.find((one) => one.subject === subject)?.spread[metric.name]
      return value === undefined || value.min <= 0 ? [] : [[size, value.median, value.min, value.max]]
    }),
  }))
  return draw(GROWTH_HEIGHT, {
    title: { text: titleOf(metric), textStyle: { fontSize: 13 } },
    legend: { bottom: 0, itemWidth: 16, textStyle: { fontSize: 11 }, data: first.map(({ subject }) => subject) },
    grid: { left: MARGIN, right: 30, top: 35, bottom: 75 },
    xAxis: { type: 'log', name: result.sizes, nameLocation: 'middle', nameGap: 22 },
    yAxis: { type: 'log' },
    series: lines.flatMap(({ subject, isOurs, points }): echarts.SeriesOption[] => {
      const color = colors.get(subject) ?? WHISKER
      return [
        {
          type: 'line',
          name: subject,
          data: points.map(([size = 0, middle = 0]) => [size, middle]),
          color,
          symbolSize: 7,
          lineStyle: { color, width: isOurs ? 3 : 1.5, type: isOurs ? 'solid' : 'dashed' },
        },
        {
          type: 'custom',
          data: points,
          renderItem: (_, api) => {
            const [x = 0, top = 0] = api.coord([api.value(0), api.value(3)])
            const [, bottom = 0] = api.coord([api.value(0), api.value(2)])
            return {
              type: 'line',
              shape: { x1: x, y1: top, x2: x, y2: bottom },
              style: { stroke: color, lineWidth: 1 },
            }
          },
        },
      ]
    }),
  })
}

function titleOf(metric: Metric): string {
  const sense = metric.better === 'less' ? 'less is better' : 'more is better'
  return `${metric.title}${metric.unit === '' ? '' : `, ${metric.unit}`} (${sense})`
}
