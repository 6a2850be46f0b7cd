/** How long a process takes that imports a library and does nothing with it, beside one that imports nothing. */

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../../scripts/prebuild.ts'
import { type Cast, type Contender, other, ours, sceneOf } from '../contenders.ts'
import { pins, runCommand } from '../measure.ts'
import { countOption, type Figures, type Trial } from '../trial.ts'

const REFERENCE = 'node alone'
const PROCESS_MS_MAX = 60_000

export const startUp: Trial = {
  name: 'start-up',
  summary: 'time of a process that imports sockmux, undici or node:http and ends',
  metrics: [
    { name: 'time', title: 'time of the process', unit: 'ms', digits: 1, better: 'less' },
    { name: 'imported', title: 'time of the import', unit: 'ms', digits: 1, better: 'less' },
  ],
  references: [REFERENCE],
  sizes: '',
  rounds: 5,
  options: [{ name: 'processes', value: 'N', help: 'per turn, of which the fastest counts', fallback: '5' }],
  quick: { rounds: '2' },
  tiny: { processes: '1', rounds: '1' },
  open(values) {
    const processes = countOption(values, 'processes')
    const index = pathToFileURL(join(packageRoot(), 'dist', 'lib', 'index.js')).href
    const undici = pathToFileURL(join(packageRoot(), 'node_modules', 'undici', 'index.js')).href
    const cast: Cast = {
      members: [
        other(REFERENCE, scriptOf(null)),
        ours('sockmux', scriptOf(index)),
        other('undici', scriptOf(undici)),
        other('node:http', scriptOf('node:http')),
      ],
      missing: [],
    }
    const scene = sceneOf('import', 0, cast, (contender) => measureOnce(contender, processes))
    return { scenes: [scene], missing: [], close: () => {} }
  },
}

function scriptOf(module: string | null): string[] {
  const body = module === null ? '' : `await import(${JSON.stringify(module)});`
  const script = `const begin = performance.now(); ${body} console.log(performance.now() - begin)`
  return [process.execPath, '--input-type=module', '--eval', script]
}

/** The fastest: what disturbs a start only ever adds to it. */
function measureOnce({ command }: Contender, processes: number): Figures {
  const times: number[] = []
  const imports: number[] = []
  for (let i = 0; i < processes; i++) {
    const begin = performance.now()
    imports.push(Number(runCommand([...pins().subject, ...command], PROCESS_MS_MAX)))
    times.push(performance.now() - begin)
  }
  return { time: Math.min(...times), imported: Math.min(...imports) }
}
