// The peers of resolving-client.ts inside its network: a name server that is slow, silent or failing by name, for
// dnsmasq to forward to, and an HTTP server on both loopback addresses.
import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'

const [forwardPort, originPort, slowMs] = process.argv.slice(2).map(Number)
const TYPE_A = 1
const SERVER_FAILURE = 2

/** Where the question's name ends, and its labels. */
function readQuestion(message) {
  const labels = []
  let at = 12
  while (message[at] !== 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + message[at]))
    at += 1 + message[at]
  }
  return { labels, type: message.readUInt16BE(at + 1), end: at + 5 }
}

function answer(message, { type, end }, code) {
  const isFound = code === 0 && type === TYPE_A
  const head = Buffer.from(message.subarray(0, end))
  head.writeUInt16BE(0x8180 | code, 2)
  head.writeUInt16BE(isFound ? 1 : 0, 6)
  head.writeUInt32BE(0, 8)
  const record = Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1])
  return isFound ? Buffer.concat([head, record]) : head
}

const names = createSocket('udp4')
names.on('message', (message, peer) => {
  const question = readQuestion(message)
  const kind = question.labels.at(-2)?.toLowerCase()
  const send = (code) => names.send(answer(message, question, code), peer.port, peer.address)
  if (kind === 'slow') setTimeout(send, slowMs, 0)
  else if (kind === 'servfail') send(SERVER_FAILURE)
})
names.bind(forwardPort, '127.0.0.1')

for (const host of ['127.0.0.1', '::1']) {
  createServer((_request, response) => response.end(`hello from ${host}`)).listen(originPort, host)
}
