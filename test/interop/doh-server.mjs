// A server for DNS over HTTPS on node:https, with a few names and manners, and a plain HTTP server to get to behind
// them. /asked tells what it was asked. Ports go to the parent, and the process ends with it.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'

const [certificateFile, keyFile] = process.argv.slice(2)
const SLOW_MS = 200
const TYPES = { 1: 'A', 28: 'AAAA' }
const asked = []

function readQuestion(message) {
  const labels = []
  let at = 12
  while (message[at] !== 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + message[at]))
    at += 1 + message[at]
  }
  return { name: labels.join('.'), type: TYPES[message.readUInt16BE(at + 1)], end: at + 5 }
}

/** A CNAME first, then the address of what it names, by pointers. */
function answer(message, { name, type, end }) {
  const code = name.startsWith('nx.') ? 3 : name.startsWith('servfail.') ? 2 : 0
  const head = Buffer.from(message.subarray(0, end))
  head.writeUInt16BE(0x8180 | code, 2)
  if (code !== 0 || type !== 'A') return head
  head.writeUInt16BE(2, 6)
  const alias = Buffer.from([0xc0, 12, 0, 5, 0, 1, 0, 0, 1, 44, 0, 4, 1, 0x65, 0xc0, 12])
  const target = 0xc000 | (end + 12)
  const address = Buffer.from([target >> 8, target & 255, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1])
  return Buffer.concat([head, alias, address])
}

function respond(request, response, message) {
  const question = readQuestion(message)
  asked.push(`${question.name} ${question.type}`)
  const send = () => {
    const type = question.name.startsWith('html.') ? 'text/html' : 'application/dns-message'
    response.writeHead(200, { 'Content-Type': type })
    response.end(answer(message, question))
  }
  if (question.name.startsWith('bye.')) request.socket.destroy()
  else if (question.name.startsWith('half.') && question.type === 'AAAA') return
  else if (question.name.startsWith('slow.')) setTimeout(send, SLOW_MS)
  else send()
}

const options = { cert: readFileSync(certificateFile), key: readFileSync(keyFile) }
const names = createSecureServer(options, (request, response) => {
  const pieces = []
  request.on('data', (piece) => pieces.push(piece))
  request.on('end', () => respond(request, response, Buffer.concat(pieces)))
})
const origin = createServer((request, response) => {
  if (request.url !== '/asked') return response.end(`hello ${request.headers.host}`)
  response.end(JSON.stringify(asked))
  asked.length = 0
})

names.listen(0, '127.0.0.1', () =>
  origin.listen(0, '127.0.0.1', () => {
    process.send({ namesPort: names.address().port, port: origin.address().port })
  }),
)
process.on('disconnect', () => process.exit())
