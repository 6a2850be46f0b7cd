// A thread that claims every listening socket or ticket it is posted, and answers whoever comes.
import { parentPort } from 'node:worker_threads'
import { attachToNodeLoop, Listener, Multi, Server } from '../../../dist/bundle/index.js'

const multi = new Multi()
attachToNodeLoop(multi)
const answer = (connection) => {
  const bytes = connection.readView()
  if (typeof bytes !== 'number') connection.write(Buffer.concat([Buffer.from('taken '), bytes]))
  else if (bytes === 0) connection.close()
}
const server = new Server(multi, { strategy: { callback: answer } })
server.start()
const listeners = []

parentPort.on('message', ({ handle, ticket }) => {
  try {
    if (handle) {
      const listener = new Listener(multi, { fd: handle }, (connection) => {
        connection.onReadable = answer
      })
      listeners.push(listener)
    } else server.adopt(ticket)
    parentPort.postMessage('taken')
  } catch (error) {
    parentPort.postMessage(error.code)
  }
})
