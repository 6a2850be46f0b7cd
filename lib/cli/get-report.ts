/** The document that `sockmux get --json` prints: what became of each URL, in the order given. */
import type { Download } from './download.ts'
import { withoutUser } from './text.ts'

interface DownloadReport {
  readonly url: string
  readonly effectiveUrl: string
  readonly file: string | null
  /** False when it failed, or was interrupted. */
  readonly ok: boolean
  readonly status: number
  /** In the file now; received, on the wire, by the last attempt. */
  readonly bytes: number
  readonly bytesReceived: number
  readonly resumedFrom: number
  readonly attempts: number
  readonly totalTimeMs: number
  readonly error: { readonly code: string; readonly number: number; readonly message: string } | null
}

export interface GetReport {
  readonly exitStatus: number
  readonly interrupted: boolean
  readonly downloads: readonly DownloadReport[]
}

export function getReport(downloads: readonly Download[], exitStatus: number, interrupted: boolean): GetReport {
  return { exitStatus, interrupted, downloads: downloads.map(downloadReport) }
}

function downloadReport({ url, sink, state, info, resumedFrom, attempts, error }: Download): DownloadReport {
  const ok = state === 'done'
  return {
    url: withoutUser(url),
    effectiveUrl: withoutUser(info?.effectiveUrl ?? url),
    file: sink.path,
    ok,
    status: info?.status ?? 0,
    bytes: sink.size,
    bytesReceived: info?.bytesReceived ?? 0,
    resumedFrom,
    attempts,
    totalTimeMs: (info?.totalTime ?? 0) / 1000,
    error: ok || error === null ? null : { code: error.code, number: error.number, message: error.message },
  }
}
