/** `request`, a promise for each response, in Node's loop. */
import { attachToNodeLoop, Multi, request } from 'sockmux'
import type { Client, ClientShape } from '../client-shape.ts'
import { keepGoing } from '../lanes.ts'

export function open({ url, parallel, connections, fresh }: ClientShape): Client {
  const limits = { maxHostConnections: connections, maxTotalConnections: connections, maxIdleConnections: connections }
  const multi = new Multi(limits)
  const loop = attachToNodeLoop(multi)
  const options = { multi, forbidReuse: fresh, freshConnect: fresh }
  const one = async (): Promise<boolean> => {
    const response = await request(url, options)
    await response.bytes()
    return response.status === 200
  }
  return {
    run: (total) => keepGoing(total, parallel, one),
    close: () => {
      loop.detach()
      multi.close()
    },
  }
}
