/** The loops by the names of the command line. */
import { plugIntoGlib } from '../../examples/glib.ts'
import { plugIntoLibevent } from '../../examples/libevent.ts'
import type { Plug } from '../../examples/loop.ts'
import { plugIntoNodeLoop } from '../../examples/node-loop.ts'
import { plugIntoPollLoop } from '../../examples/poll-loop.ts'
import { pollerBackends } from '../../lib/sys/native.ts'

export const NODE_LOOP = 'node'

const PLUGS: ReadonlyMap<string, Plug> = new Map<string, Plug>([
  [NODE_LOOP, plugIntoNodeLoop],
  ...pollerBackends.map((backend): [string, Plug] => [backend, (multi) => plugIntoPollLoop(multi, backend)]),
  ['libevent', plugIntoLibevent],
  ['glib', plugIntoGlib],
])

export const loopNames: readonly string[] = [...PLUGS.keys()]

/** Plugging in throws MissingLibrary where a library is not installed. */
export function plugOf(name: string): Plug {
  const plug = PLUGS.get(name)
  if (plug === undefined) throw new RangeError(`unknown loop '${name}'; there are ${loopNames.join(', ')}`)
  return plug
}
