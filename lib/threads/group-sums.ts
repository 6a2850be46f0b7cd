/** What several threads answered, as one answer. */
import type { DrainReport, ServerStats, StopReport } from '../server/server-control.ts'

export function sumReports(reports: readonly StopReport[]): DrainReport {
  const total = { finished: 0, cut: 0, durationMs: 0 }
  for (const { finished, cut, durationMs } of reports) {
    total.finished += finished
    total.cut += cut
    total.durationMs = Math.max(total.durationMs, durationMs)
  }
  return { ...total, complete: total.cut === 0 }
}

/** null when there is nothing to add up. `startedAt` is the first one's. */
export function sumStats(all: readonly ServerStats[]): ServerStats | null {
  const [first, ...others] = all
  if (first === undefined) return null
  const sum: Record<string, unknown> = { ...first, dropped: { ...first.dropped }, ended: { ...first.ended } }
  for (const other of others) addUp(sum, other)
  return { ...(sum as unknown as ServerStats), startedAt: first.startedAt }
}

/** What those who are gone have counted: none of their connections is here. */
export function addStats(past: ServerStats | null, more: ServerStats): ServerStats {
  const gone = { ...more, connections: 0 }
  return past === null ? gone : (sumStats([past, gone]) as ServerStats)
}

function addUp(sum: Record<string, unknown>, other: object): void {
  for (const [key, value] of Object.entries(other)) {
    if (typeof value === 'number') sum[key] = Number(sum[key] ?? 0) + value
    else if (typeof value === 'object' && value !== null) addUp(sum[key] as Record<string, unknown>, value)
  }
}
