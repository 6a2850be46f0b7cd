/** Transfers on a Multi in a loop of their own, each used again and again, as libcurl's handles are. */
import { Multi, runPollLoop, Transfer } from 'sockmux'
import type { Client, ClientShape } from '../client-shape.ts'

export function open({ url, parallel, connections, fresh }: ClientShape): Client {
  const limits = { maxHostConnections: connections, maxTotalConnections: connections, maxIdleConnections: connections }
  const multi = new Multi(limits)
  const options = { url, forbidReuse: fresh, freshConnect: fresh }
  const transfers = Array.from({ length: parallel }, () => new Transfer(options))
  return {
    run: (total) => {
      let started = 0
      let done = 0
      let failed = 0
      const readMessages = (): boolean => {
        for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
          const { transfer, error } = message
          done++
          if (error !== null || transfer.info.status !== 200) failed++
          multi.remove(transfer)
          if (started < total) {
            started++
            multi.add(transfer)
          }
        }
        return done >= total
      }
      for (; started < Math.min(parallel, total); started++) multi.add(transfers[started] as Transfer)
      // The loop ends by itself when nothing runs any more, with the last messages unread.
      while (!readMessages()) runPollLoop(multi, { until: readMessages })
      return failed
    },
    close: () => multi.close(),
  }
}
