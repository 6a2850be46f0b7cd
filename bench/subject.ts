/**
 * One subject of the readiness benchmark in a process of its own: `node subject.js NAME backend pipes active writes
 * warmups repeats` prints one line of JSON, as the C peers do. What `run` of a subject does is timed: from the first
 * wait until everything was read back.
 */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { PollerBackend } from '../lib/sys/poller.ts'
import type { ReadinessShape, ReadinessSubject } from './pipe-ring.ts'

export type OpenSubject = (shape: ReadinessShape, backend: PollerBackend) => ReadinessSubject

export interface SubjectAnswer {
  readonly description: string
  /** Per repeat. */
  readonly nanoseconds: readonly number[]
}

/** Loaded one at a time, so that a process holds nothing but its subject. */
export const SUBJECTS: Readonly<Record<string, () => Promise<{ open: OpenSubject }>>> = {
  'readiness-plain': () => import('./subjects/readiness-plain.ts'),
  'readiness-batched': () => import('./subjects/readiness-batched.ts'),
  'readiness-multi': () => import('./subjects/readiness-multi.ts'),
}

const NANOSECONDS_PER_MS = 1e6

export function measure(subject: ReadinessSubject, warmups: number, repeats: number): SubjectAnswer {
  const nanoseconds: number[] = []
  for (let i = 0; i < warmups + repeats; i++) {
    subject.begin()
    const start = performance.now()
    subject.run()
    const end = performance.now()
    if (i >= warmups) nanoseconds.push(Math.round((end - start) * NANOSECONDS_PER_MS))
  }
  return { description: subject.description, nanoseconds }
}

/** `parameters`: backend, pipes, active, writes, warmups, repeats. */
export async function runSubject(name: string, parameters: readonly string[]): Promise<SubjectAnswer> {
  const load = SUBJECTS[name]
  if (load === undefined) throw new Error(`no subject ${name}; there are ${Object.keys(SUBJECTS).join(', ')}`)
  const [pipes = 0, active = 0, writes = 0, warmups = 0, repeats = 0] = parameters.slice(1).map(Number)
  const { open } = await load()
  const subject = open({ pipes, active, writes }, parameters[0] as PollerBackend)
  try {
    return measure(subject, warmups, repeats)
  } finally {
    subject.close()
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [name = '', ...parameters] = process.argv.slice(2)
  console.log(JSON.stringify(await runSubject(name, parameters)))
}
