/** Many transfers at once: more than there are connections, and all waiting for answers that come late. */
import { CLIENT_METRICS, clients, LIBCURL, measureClient } from '../client-load.ts'
import { sceneOf, scriptCommand } from '../contenders.ts'
import { pins } from '../measure.ts'
import { startOrigin } from '../nginx.ts'
import { ServerProcess } from '../server-process.ts'
import { countOption, type Trial } from '../trial.ts'

export const pending: Trial = {
  name: 'pending',
  summary: '500 transfers over 6 connections, and 10,000 that wait for a late answer',
  metrics: CLIENT_METRICS,
  references: [LIBCURL],
  sizes: '',
  rounds: 5,
  options: [
    { name: 'transfers', value: 'N', help: 'at a time, of the first scene', fallback: '500' },
    { name: 'connections', value: 'N', help: 'that they share', fallback: '6' },
    { name: 'requests', value: 'N', help: 'of a process, of the first scene', fallback: '50000' },
    { name: 'delayed', value: 'N', help: 'at a time, of the second scene: a connection each', fallback: '10000' },
    { name: 'delay', value: 'MS', help: 'until the server answers', fallback: '1000' },
  ],
  quick: { requests: '10000', delayed: '2000', rounds: '2' },
  tiny: { transfers: '5', connections: '2', requests: '20', delayed: '10', delay: '10', rounds: '1' },
  async open(values) {
    const parallel = countOption(values, 'transfers')
    const connections = countOption(values, 'connections')
    const requests = countOption(values, 'requests')
    const delayed = countOption(values, 'delayed')
    const delay = countOption(values, 'delay')
    const cast = clients()
    const late = await ServerProcess.start([...pins().load, ...scriptCommand('servers/late', String(delay))])
    const origin = await startOrigin()
    const shared = { url: `${origin.http}/`, requests, warmup: parallel, parallel, connections }
    // The connections are opened by the warm-up.
    const waiting = { requests: delayed, warmup: delayed, parallel: delayed, connections: delayed }
    const url = `http://127.0.0.1:${late.port}/`
    const scenes = [
      sceneOf(`${parallel} over ${connections} connections`, 0, cast, (client) => measureClient(client, shared)),
      sceneOf(`${delayed} delayed by ${delay} ms`, 0, cast, (client) => measureClient(client, { url, ...waiting })),
    ]
    const close = async (): Promise<void> => {
      await late.stop()
      await origin.stop()
    }
    return { scenes, missing: cast.missing, close }
  },
}
