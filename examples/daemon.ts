/**
 * A daemon in the loop of your choice: the gateway of `gateway.ts` before a local origin, in libevent, GLib, Node's own
 * loop, or one that was written by hand. GET /stop lets it end, since no signal is heard in a loop of C.
 */
import { parseArgs } from 'node:util'
import { Multi } from 'sockmux'
import { isMain } from './demonstration.ts'
import { startGateway } from './gateway.ts'
import { plugIntoGlib } from './glib.ts'
import { plugIntoLibevent } from './libevent.ts'
import type { Plug } from './loop.ts'
import { plugIntoNodeLoop } from './node-loop.ts'
import { startOrigin } from './origin.ts'
import { plugIntoPollLoop } from './poll-loop.ts'
import { plugIntoSelectLoop } from './select-loop.ts'

const LOOPS: ReadonlyMap<string, Plug> = new Map([
  ['libevent', (multi) => plugIntoLibevent(multi)],
  ['glib', (multi) => plugIntoGlib(multi)],
  ['poll', (multi) => plugIntoPollLoop(multi)],
  ['select', plugIntoSelectLoop],
  ['node', plugIntoNodeLoop],
])
const STOP = '/stop'

/** Returns when the daemon was asked to stop and everybody has left. */
async function runDaemon(plug: Plug, port: number): Promise<void> {
  const origin = await startOrigin()
  const multi = new Multi()
  try {
    const loop = plug(multi)
    const server = startGateway(multi, origin.url, port, (request) => {
      if (request.url !== STOP) return false
      request.respond({ body: 'stopping\n' })
      void server.drain({ idle: 'close' })
      return true
    })
    console.log(`listening on http://127.0.0.1:${server.listeners[0]?.address.port} in ${loop.name}`)
    const stopped = new Promise<void>((resolve) => server.onClose(resolve))
    loop.run?.()
    await stopped
    loop.close()
    console.log(`stopped after ${server.stats().accepted} connections`)
  } finally {
    multi.close()
    origin.stop()
  }
}

if (isMain(import.meta.url)) {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { help: { type: 'boolean' }, loop: text, port: text } })
  const names = [...LOOPS.keys()]
  const { loop = 'libevent', port = '0' } = values
  const plug = LOOPS.get(loop)
  if (values.help) {
    console.log(`usage: node dist/examples/daemon.js [--loop ${names.join('|')}] [--port N]`)
    console.log('Answers every request with what a local origin answers; /length/1000/1 is 1000 bytes, /stop ends it.')
  } else if (plug === undefined) {
    console.error(`daemon.js: --loop must be one of ${names.join(', ')}, not '${loop}'`)
    process.exitCode = 1
  } else {
    await runDaemon(plug, Number(port)).catch((error: Error) => {
      console.error(`daemon.js: ${error.message}`)
      process.exitCode = 1
    })
  }
}
