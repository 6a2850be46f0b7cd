/** HTTP clients that ask an origin on the other core: CPU time of the client's process per request. */

import type { ClientAnswer } from './client.ts'
import { addPeer, type Cast, type Contender, FLOOR, ON_EPOLL, other, ours, scriptCommand } from './contenders.ts'
import { runSubject } from './measure.ts'
import type { PeerSource } from './peers.ts'
import { CPU_PER_REQUEST, type Figures, type Metric, PER_SECOND } from './trial.ts'

export const LIBCURL = 'libcurl multi_socket'
export const CLIENT_METRICS: readonly Metric[] = [CPU_PER_REQUEST, PER_SECOND]

const LIBCURL_PEER: PeerSource = {
  name: 'client-libcurl',
  header: 'curl/curl.h',
  debianPackage: 'libcurl4-openssl-dev',
  libraries: ['curl'],
}

export interface ClientLoad {
  readonly url: string
  readonly requests: number
  readonly warmup: number
  readonly parallel: number
  readonly connections: number
  /** A new connection for each. Default false. */
  readonly fresh?: boolean
}

export function clients(): Cast {
  const cast: Cast = { members: [], missing: [] }
  addPeer(cast, FLOOR, { ...ON_EPOLL, name: 'client-epoll' })
  addPeer(cast, LIBCURL, LIBCURL_PEER)
  cast.members.push(
    ours('sockmux Transfer', scriptCommand('client', 'transfer')),
    other('undici dispatch', scriptCommand('client', 'undici-dispatch')),
    ours('sockmux request()', scriptCommand('client', 'request')),
    other('undici request', scriptCommand('client', 'undici-request')),
  )
  return cast
}

export function measureClient({ name, command }: Contender, load: ClientLoad): Figures {
  const { url, requests, warmup, parallel, connections, fresh = false } = load
  const numbers = [requests, warmup, parallel, connections, fresh ? 1 : 0]
  const answer = runSubject<ClientAnswer>([...command, url, ...numbers.map(String)])
  if (answer.failed > 0) throw new Error(`${name}: ${answer.failed} of ${requests} requests failed`)
  return { cpu: (answer.cpuSeconds * 1e6) / requests, rate: requests / answer.seconds }
}
