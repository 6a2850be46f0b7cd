/** A subject as its parent sees it: a process that is given a Job and tells Reports. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Job, Report } from './report.ts'

const SUBJECT = fileURLToPath(new URL(`./subject${extname(import.meta.url)}`, import.meta.url))

/** Rejects when the process ends badly, and when the signal is aborted, which kills it. */
export async function runSubject(job: Job, signal: AbortSignal, tell: (report: Report) => void): Promise<void> {
  signal.throwIfAborted()
  const child = spawn(process.execPath, [SUBJECT], { stdio: ['pipe', 'pipe', 'inherit'] })
  const kill = (): void => void child.kill('SIGKILL')
  signal.addEventListener('abort', kill, { once: true })
  const closed = once(child, 'close')
  // When it is gone before it has read its job, its end says why.
  child.stdin.on('error', () => {})
  child.stdin.end(JSON.stringify(job))
  createInterface(child.stdout).on('line', (line) => tell(JSON.parse(line) as Report))
  try {
    const [code, killedBy]: [number | null, string | null] = await closed.then(([code, by]) => [code, by])
    signal.throwIfAborted()
    if (code !== 0) throw new Error(`the process of the loop ${job.loop} ended with ${killedBy ?? `status ${code}`}`)
  } finally {
    signal.removeEventListener('abort', kill)
  }
}
