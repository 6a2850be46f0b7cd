/** undici's `request` on a Pool, a promise for each response. */
import { Pool } from 'undici'
import type { Client, ClientShape } from '../client-shape.ts'
import { keepGoing } from '../lanes.ts'

export function open({ url, parallel, connections, fresh }: ClientShape): Client {
  const { origin, pathname } = new URL(url)
  // Without pipelining undici keeps no connection.
  const pool = new Pool(origin, { connections, pipelining: fresh ? 0 : 1 })
  const one = async (): Promise<boolean> => {
    const { statusCode, body } = await pool.request({ path: pathname, method: 'GET' })
    await body.bytes()
    return statusCode === 200
  }
  return { run: (total) => keepGoing(total, parallel, one), close: () => pool.close() }
}
