import { expect } from 'vitest'
import { scenario } from '../drivers.ts'
import { Stage } from './stage.ts'

scenario('a server calls back when there is something to read', async (bench) => {
  const stage = Stage.start(bench, {
    strategy: {
      callback: (connection) => {
        const bytes = new Uint8Array(100)
        const count = connection.read(bytes)
        if (count > 0) connection.write(bytes.subarray(0, count))
      },
    },
  })
  const [client] = await stage.connected(1)
  client?.write('echo')
  await stage.until(() => client?.received === 'echo')
  client?.end()
  await stage.until(() => client?.isOver === true)
  await stage.stop()
  expect(stage.told).toEqual([
    'starting',
    'listening',
    'start',
    'accept 1',
    'connect 1',
    'disconnect 1 peer',
    'idle',
    'draining',
    'stopping',
    'stopped',
    'stop',
  ])
})
