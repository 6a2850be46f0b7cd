/** Figures as people read them: aligned columns, thousands separated. */
import { type LoopReport, sumOf, type TransferReport } from './report.ts'

interface Column {
  readonly title: string
  readonly isText?: boolean
  cell(row: LoopReport): string
}

const COLUMNS: readonly Column[] = [
  { title: 'loop', isText: true, cell: (row) => row.loop },
  { title: 'transfers', cell: (row) => whole(row.transfers) },
  { title: 'failed', cell: (row) => whole(row.failed) },
  { title: 'MB', cell: (row) => megabytes(row.bytes) },
  { title: 'per second', cell: (row) => whole((row.transfers * 1000) / row.elapsedMs) },
  { title: 'p50 ms', cell: (row) => row.p50Ms.toFixed(2) },
  { title: 'p99 ms', cell: (row) => row.p99Ms.toFixed(2) },
  { title: 'socketFunction', cell: (row) => whole(row.socketFunctionCalls) },
  { title: 'timerFunction', cell: (row) => whole(row.timerFunctionCalls) },
  { title: 'turns', cell: (row) => (row.iterations === null ? '-' : whole(row.iterations)) },
  { title: 'calls/request', cell: (row) => (sumOf(row.systemCalls) / row.transfers).toFixed(2) },
]

export function table(rows: readonly LoopReport[]): string {
  const lines = [COLUMNS.map((column) => column.title), ...rows.map((row) => COLUMNS.map((column) => column.cell(row)))]
  const widths = COLUMNS.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)))
  const pad = (text: string, index: number): string =>
    COLUMNS[index]?.isText === true ? text.padEnd(widths[index] ?? 0) : text.padStart(widths[index] ?? 0)
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n')
}

/** As in `200      12,345 B      3.1 ms  http://…`. */
export function transferLine({ status, bytes, elapsedMs, url, failure }: TransferReport): string {
  const line = [
    status === 0 ? '---' : String(status),
    `${whole(bytes)} B`.padStart(13),
    `${elapsedMs.toFixed(1)} ms`.padStart(11),
    url,
  ]
  if (failure !== null) line.push(`${failure.code} (${failure.number}): ${failure.message}`)
  return line.join('  ')
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}
