/** System calls as strace counts them: of a command from its start to its end, or of a process for a while. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pins, runCommand } from './measure.ts'
import { MissingPeerError } from './trial.ts'

const PROBE_MS_MAX = 5000
const PROCESS_MS_MAX = 120_000
const ATTACH_MS_MAX = 10_000
/** % time, seconds, µs per call, calls, errors or nothing, name. */
const ROW = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/gm

/** Throws MissingPeerError. */
export function requireStrace(): void {
  const probe = spawnSync('strace', ['-c', '-o', '/dev/null', 'true'], { encoding: 'utf8', timeout: PROBE_MS_MAX })
  if (probe.error !== undefined) throw new MissingPeerError('strace is not installed (apt-get install strace)')
  if (probe.status !== 0) throw new MissingPeerError(`strace may not trace here: ${probe.stderr.trim()}`)
}

/** All threads of a command that ends by itself. */
export async function countCallsOf(command: readonly string[]): Promise<number> {
  return withFile(async (file) => {
    runCommand([...pins().subject, 'strace', '-c', '-f', '-o', file, ...command], PROCESS_MS_MAX)
  })
}

/** All threads of a process, while something happens. */
export function countCallsWhile(pid: number, body: () => Promise<void>): Promise<number> {
  return withFile(async (file) => {
    const child = spawn('strace', ['-c', '-f', '-o', file, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('strace does not attach')), ATTACH_MS_MAX)
        createInterface({ input: child.stderr }).once('line', (line) => {
          clearTimeout(timer)
          if (/attached/.test(line)) resolve()
          else reject(new Error(line))
        })
      })
      await body()
    } finally {
      child.kill('SIGINT')
      await ended
    }
  })
}

/** What strace wrote into the file that `body` has filled. */
async function withFile(body: (file: string) => Promise<void>): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'sockmux-strace-'))
  try {
    const file = join(folder, 'calls')
    await body(file)
    const rows = [...readFileSync(file, 'utf8').matchAll(ROW)].filter(([, , name]) => name !== 'total')
    return rows.reduce((sum, [, calls]) => sum + Number(calls), 0)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
