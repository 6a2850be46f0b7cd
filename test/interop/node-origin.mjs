/**
 * node:http in a process of its own, as a server of a third make, and a raw one in the style of HTTP/1.0 beside it.
 * Both ports go to the parent, and the process ends with it.
 */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { createServer as createRawServer } from 'node:net'

/** What was asked, as the answer's body: method, target, fields in order, trailers, and the body by its hash. */
function describeRequest(request, respond) {
  const hash = createHash('sha256')
  let bytes = 0
  request.on('data', (chunk) => {
    bytes += chunk.length
    hash.update(chunk)
  })
  request.on('end', () => {
    const { method, url, httpVersion, rawHeaders, rawTrailers } = request
    respond({ method, url, httpVersion, rawHeaders, rawTrailers, bytes, sha256: hash.digest('hex') })
  })
}

const answers = {
  '/describe': (request, response) =>
    describeRequest(request, (description) => {
      response.setHeader('Content-Type', 'application/json')
      response.end(JSON.stringify(description))
    }),
  '/hints': (_request, response) => {
    response.writeEarlyHints({ link: ['</style.css>; rel=preload', '</code.js>; rel=preload'] })
    response.writeProcessing()
    response.writeEarlyHints({ link: '</late.css>; rel=preload' })
    setTimeout(() => response.end('after hints'), 20)
  },
  '/trailers': (_request, response) => {
    response.writeHead(200, { Trailer: 'X-Sum, X-Twice', 'Transfer-Encoding': 'chunked' })
    response.write('first, ')
    setTimeout(() => {
      response.write('second')
      response.addTrailers([
        ['X-Sum', '42'],
        ['X-Twice', 'a'],
        ['X-Twice', 'b'],
      ])
      response.end()
    }, 20)
  },
  '/casing': (_request, response) => {
    response.writeHead(200, 'Quite All Right', [
      'X-oDD-CaSe',
      'Value',
      'SET-COOKIE',
      'a=1',
      'set-cookie',
      'b=2',
      'X-Empty',
      '',
    ])
    response.end('casing')
  },
  '/many': (_request, response) => {
    for (let index = 0; index < 1000; index++) response.setHeader(`X-Field-${index}`, `value ${index}`)
    response.end('many')
  },
  '/close': (_request, response) => {
    response.writeHead(200, { Connection: 'close', 'Content-Length': 7 })
    response.end('closing')
  },
  '/until-closed': (_request, response) => {
    response.useChunkedEncodingByDefault = false
    response.writeHead(200, { Connection: 'close' })
    response.write('until ')
    setTimeout(() => response.end('closed'), 20)
  },
  '/early': (_request, response) => {
    // Answers before the request has been read.
    response.writeHead(403, { 'Content-Length': 2 })
    response.end('no')
  },
  '/pieces': async (_request, response) => {
    for (let index = 0; index < 200; index++) {
      response.write(`${index},`)
      if (index % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    response.end()
  },
  '/never': () => {},
}

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const answer = answers[request.url] ?? answers['/describe']
  void answer(request, response)
})

const OLD_ANSWERS = {
  '/plain': 'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nas it was',
  '/length': 'HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nlength',
  '/keep': 'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 4\r\n\r\nkept',
}

const oldServer = createRawServer((socket) => {
  let text = ''
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    if (!text.endsWith('\r\n\r\n')) return
    const target = text.split(' ')[1]
    text = ''
    if (target === '/keep') socket.write(OLD_ANSWERS[target])
    else socket.end(OLD_ANSWERS[target] ?? 'HTTP/1.0 404 Not Found\r\n\r\n')
  })
})

process.once('disconnect', () => process.exit())
server.listen(0, '127.0.0.1', () => {
  oldServer.listen(0, '127.0.0.1', () =>
    process.send({ port: server.address().port, oldPort: oldServer.address().port }),
  )
})
