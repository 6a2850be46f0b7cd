import { expect } from 'vitest'
import {
  type CloseReason,
  type Connection,
  Listener,
  type Multi,
  Server,
  type SocketTicket,
  WOULD_BLOCK,
} from '../../lib/index.ts'
import { setPanicHandler } from '../../lib/server/panic.ts'
import { kernel as realKernel } from '../../lib/sys/native.ts'
import { connectClient, type LocalClient } from '../support/local-client.ts'
import type { Bench } from './bench.ts'
import { scenario } from './drivers.ts'

const LOCAL = { host: '127.0.0.1', port: 0 }
const TEXT = 'The quick brown fox jumps over the lazy dog. '
const PIECE = TEXT.repeat(1_200)

/** More than the buffers of both ends take. */
function muchOn(bench: Bench): string {
  return TEXT.repeat(bench.simulation === null ? 60_000 : 8_000)
}

/** A listener whose connections go to `serve`, and what became of them. */
class Stage {
  readonly multi: Multi
  readonly listener: Listener
  readonly connections: Connection[] = []
  readonly ends: CloseReason[] = []
  readonly errors: (Error | null)[] = []
  readonly #bench: Bench
  readonly #clients: LocalClient[] = []

  constructor(bench: Bench, serve: (connection: Connection) => void) {
    this.#bench = bench
    this.multi = bench.multi()
    this.listener = new Listener(this.multi, LOCAL, (connection) => {
      this.connections.push(connection)
      connection.onClose = (_, reason, error) => {
        this.ends.push(reason)
        this.errors.push(error)
      }
      serve(connection)
    })
  }

  connect(): LocalClient {
    const client = connectClient(this.#bench.simulation, this.listener.address)
    this.#clients.push(client)
    return client
  }

  get connection(): Connection {
    return this.connections[0] as Connection
  }

  until(isEnough: () => boolean): Promise<void> {
    return this.#bench.drive(this.multi, isEnough)
  }

  /** Time passes in which nothing more may happen. */
  pass(): Promise<void> {
    return this.#bench.pass(this.multi, 100)
  }

  /** Nothing is left but the listener. */
  async finish(): Promise<void> {
    for (const client of this.#clients) client.close()
    await this.until(() => this.ends.length === this.connections.length)
    expect(this.multi.waitFds().map(({ fd }) => fd)).toEqual([this.listener.fd])
    this.listener.close()
  }
}

function echoBack(connection: Connection): void {
  connection.onData = (one, chunk) => {
    if (!one.write(chunk)) one.pause()
  }
  connection.onWritable = (one) => one.resume()
}

scenario('an echo with back-pressure gives back every byte', async (bench) => {
  const much = muchOn(bench)
  const stage = new Stage(bench, echoBack)
  const client = stage.connect()
  client.write(much)
  client.end()
  let most = 0
  await stage.until(() => {
    most = Math.max(most, stage.connections[0]?.writableLength ?? 0)
    return client.ended
  })
  expect(client.received === much).toBe(true)
  expect(most).toBeLessThan(300_000)
  expect(stage.ends).toEqual(['peer'])
  expect([stage.connection.bytesRead, stage.connection.bytesWritten]).toEqual([much.length, much.length])
  expect(stage.connection.fd).toBe(-1)
  await stage.finish()
})

scenario('a reader who takes its time is told when there is room again', async (bench) => {
  const stage = new Stage(bench, (connection) => {
    connection.onWritable = () => rooms++
  })
  let rooms = 0
  const client = stage.connect()
  client.pauseReading()
  await stage.until(() => stage.connections.length === 1)
  const { connection } = stage
  expect(connection.write('hello')).toBe(true)
  const piece = PIECE
  let written = 5
  // Buffers of the kernel grow while they fill: what was full may have room once more.
  for (rooms = 1; rooms > 0; await stage.pass()) {
    rooms = 0
    while (connection.write(piece)) written += piece.length
    written += piece.length
  }
  expect(connection.writableLength).toBeGreaterThan(0)
  client.resumeReading()
  await stage.until(() => client.received.length === written)
  await stage.until(() => rooms === 1)
  expect(connection.writableLength).toBe(0)
  connection.close()
  await stage.finish()
})

scenario('a sender is held back while nobody reads, and costs nothing', async (bench) => {
  const much = muchOn(bench)
  let calls = 0
  const stage = new Stage(bench, (connection) => {
    connection.onReadable = () => calls++
  })
  const client = stage.connect()
  client.write(much)
  client.end()
  await stage.until(() => calls === 1)
  await stage.pass()
  expect(calls).toBe(1)
  expect(stage.multi.waitFds().map(({ fd }) => fd)).toEqual([stage.listener.fd])
  const parts: Buffer[] = []
  const into = new Uint8Array(200_000)
  let ended = false
  stage.connection.onReadable = (connection) => {
    const count = connection.read(into)
    if (count > 0) parts.push(Buffer.from(into.subarray(0, count)))
    ended = count === 0
  }
  await stage.until(() => ended || client.isOver)
  expect(ended).toBe(true)
  expect(Buffer.concat(parts).toString('latin1') === much).toBe(true)
  await stage.finish()
})

scenario('reading piece by piece, outside of callbacks as well', async (bench) => {
  const stage = new Stage(bench, () => {})
  const client = stage.connect()
  await stage.until(() => stage.connections[0]?.open === true)
  const { connection } = stage
  expect(connection.read(new Uint8Array(10))).toBe(WOULD_BLOCK)
  client.write('one two')
  const into = new Uint8Array(4)
  let count = WOULD_BLOCK as number
  await stage.until(() => {
    count = connection.read(into)
    return count !== WOULD_BLOCK
  })
  expect(Buffer.from(into.subarray(0, count)).toString()).toBe('one ')
  connection.unread(Buffer.from('zero '))
  const first = connection.readView(3)
  expect(Buffer.from(first as Uint8Array).toString()).toBe('zer')
  expect(connection.read(new Uint8Array(0))).toBe(0)
  expect(Buffer.from(connection.readView() as Uint8Array).toString()).toBe('o ')
  expect(Buffer.from(connection.readView() as Uint8Array).toString()).toBe('two')
  expect(connection.readView()).toBe(WOULD_BLOCK)
  client.end()
  await stage.until(() => connection.readView() === 0 || !connection.open)
  await stage.finish()
  expect(connection.readView()).toBe(0)
  expect(connection.write('late')).toBe(false)
})

scenario('half-closed by the peer, a connection with onEnd goes on writing', async (bench) => {
  const seen: string[] = []
  const stage = new Stage(bench, (connection) => {
    connection.onData = (_, chunk) => seen.push(Buffer.from(chunk).toString())
    connection.onEnd = () => seen.push('end')
  })
  const client = stage.connect()
  client.write('question')
  client.end()
  await stage.until(() => seen.includes('end'))
  await stage.pass()
  expect(seen.join(' ')).toBe('question end')
  expect(stage.connection.open).toBe(true)
  stage.connection.write('answer')
  await stage.until(() => client.received === 'answer')
  stage.connection.close()
  await stage.until(() => client.ended)
  await stage.finish()
  expect(stage.ends).toEqual(['done'])
})

scenario('half-closed by us, a connection goes on reading', async (bench) => {
  let received = ''
  const stage = new Stage(bench, (connection) => {
    connection.onData = (_, chunk) => {
      received += Buffer.from(chunk).toString()
    }
    connection.write('greeting')
    connection.shutdownWrite()
    expect(() => connection.write('more')).toThrow(/shutdownWrite was called/)
  })
  const client = stage.connect()
  await stage.until(() => client.ended)
  expect(client.received).toBe('greeting')
  client.write('still talking')
  await stage.until(() => received === 'still talking')
  expect(stage.connection.open).toBe(true)
  client.end()
  await stage.until(() => stage.ends.length === 1)
  await stage.finish()
})

scenario('abort is seen as a reset, and what was not sent is lost', async (bench) => {
  const stage = new Stage(bench, (connection) => {
    connection.onData = (one) => {
      one.abort()
      one.abort()
      expect(one.fd).toBe(-1)
    }
  })
  const client = stage.connect()
  client.write('anything')
  await stage.until(() => client.isOver)
  expect(client.failed).toBe('ECONNRESET')
  expect(stage.ends).toEqual(['aborted'])
  await stage.finish()
})

scenario('close sends all that was written, whatever the peer is saying meanwhile', async (bench) => {
  const much = muchOn(bench)
  const stage = new Stage(bench, (connection) => {
    connection.write(much)
    connection.close()
    expect(connection.write('late')).toBe(false)
  })
  const client = stage.connect()
  client.write('x'.repeat(100_000))
  await stage.until(() => client.ended || client.failed !== null)
  expect(client.failed).toBe(null)
  expect(client.received === much).toBe(true)
  client.close()
  await stage.until(() => stage.ends.length === 1)
  expect(stage.ends).toEqual(['done'])
  await stage.finish()
})

scenario('a peer that goes while we rest is noticed', async (bench) => {
  const stage = new Stage(bench, (connection) => {
    connection.onData = () => {}
    connection.pause()
  })
  stage.connect().end()
  await stage.until(() => stage.ends.length === 1)
  expect(stage.ends).toEqual(['peer'])
  stage.connect().reset()
  await stage.pass()
  expect(stage.ends.length).toBe(stage.connections.length)
  await stage.finish()
})

scenario('a connection that breaks says so once, after its last bytes', async (bench) => {
  const stage = new Stage(bench, (connection) => {
    connection.onData = () => {}
    connection.onWritable = () => {}
  })
  const client = stage.connect()
  await stage.until(() => stage.connections.length === 1)
  while (stage.connection.write(PIECE)) {}
  client.reset()
  await stage.until(() => stage.ends.length === 1)
  expect(stage.ends).toEqual(['error'])
  expect(stage.errors[0]).toMatchObject({ name: 'SystemError', code: expect.stringMatching(/ECONNRESET|EPIPE/) })
  expect(stage.connection.write('more')).toBe(false)
  await stage.finish()
})

scenario('closed inside any of its callbacks, a connection is gone', async (bench) => {
  const places: ((connection: Connection, act: () => void) => void)[] = [
    (_, act) => act(),
    (connection, act) => {
      connection.onReadable = act
    },
    (connection, act) => {
      connection.onData = act
    },
    (connection, act) => {
      connection.onData = () => {}
      connection.onEnd = act
    },
    (connection, act) => {
      while (connection.write(PIECE)) {}
      connection.onWritable = act
    },
    (connection, act) => {
      connection.idleTimeoutMs = 1
      connection.onTimeout = act
    },
  ]
  for (const verb of ['close', 'abort', 'detach'] as const) {
    for (const place of places) {
      const isPlaceToDetach = verb !== 'detach' || !place.toString().includes('write(')
      if (!isPlaceToDetach) continue
      let acted = 0
      const stage = new Stage(bench, (connection) =>
        place(connection, () => {
          if (acted++ > 0) return
          const left = connection[verb]()
          if (left !== undefined) connectionClose(bench, left)
        }),
      )
      const client = stage.connect()
      client.write('hello')
      client.end()
      await stage.until(() => client.isOver && stage.ends.length === 1)
      const expected = { close: 'done', abort: 'aborted', detach: 'handed-over' }[verb]
      expect(stage.ends, `${verb} in ${place}`).toEqual([expected])
      await stage.finish()
    }
  }
})

function connectionClose(bench: Bench, ticket: SocketTicket): void {
  const kernel = bench.simulation?.kernel ?? realKernel
  kernel.close(ticket.fd, kernel.claim(ticket.fd, ticket.generation))
}

scenario('a callback that throws resets its connection and no other', async (bench) => {
  const panics: string[] = []
  const before = setPanicHandler((error) => panics.push(error.message))
  try {
    const stage = new Stage(bench, (connection) => {
      const isFirst = stage.connections.length === 1
      connection.onData = (one, chunk) => {
        if (isFirst) throw new Error('from onData')
        one.write(chunk)
      }
    })
    const [first, second] = [stage.connect(), stage.connect()]
    await stage.until(() => stage.connections.length === 2)
    first.write('x')
    second.write('y')
    await stage.until(() => first.isOver || second.isOver)
    await stage.until(() => first.received + second.received !== '')
    expect(first.received + second.received).toMatch(/^[xy]$/)
    expect([first.failed, second.failed].sort()).toEqual(['ECONNRESET', null])
    expect(stage.ends).toEqual(['aborted'])
    expect(stage.errors[0]?.message).toBe('from onData')
    expect(panics).toEqual(['a callback of a connection: from onData'])
    await stage.finish()
  } finally {
    setPanicHandler(before)
  }
})

scenario('an idle connection ends, unless it is given more time', async (bench) => {
  let asked = 0
  const stage = new Stage(bench, (connection) => {
    connection.onData = () => {}
    connection.idleTimeoutMs = 30
    connection.onTimeout = (one) => {
      if (asked++ < 2) one.extend(20)
    }
  })
  const client = stage.connect()
  await stage.until(() => client.isOver)
  expect(asked).toBe(3)
  expect(stage.ends).toEqual(['timeout'])
  expect(stage.errors[0]).toMatchObject({ code: 'ETIMEDOUT' })
  await stage.finish()
})

scenario('a detached connection lives on where it is adopted, with the bytes that were read', async (bench) => {
  const tickets: SocketTicket[] = []
  const stage = new Stage(bench, (connection) => {
    connection.onReadable = (one) => {
      const chunk = one.readView()
      if (typeof chunk === 'number') return
      one.unread(chunk)
      tickets.push(one.detach())
    }
  })
  const client = stage.connect()
  client.write('head')
  await stage.until(() => tickets.length === 1)
  const [ticket] = tickets as [SocketTicket]
  expect(Buffer.from(ticket.head ?? []).toString()).toBe('head')
  expect(stage.ends).toEqual(['handed-over'])
  expect(stage.connection.fd).toBe(-1)
  expect(structuredClone(ticket)).toEqual(ticket)
  expect(stage.multi.waitFds().map(({ fd }) => fd)).toEqual([stage.listener.fd])
  connectionClose(bench, ticket)
  await stage.until(() => client.isOver)
  await stage.finish()
})

scenario('what is written outside of callbacks leaves at once', async (bench) => {
  const stage = new Stage(bench, () => {})
  const client = stage.connect()
  await stage.until(() => stage.connections[0]?.open === true)
  expect(stage.connection.write('now')).toBe(true)
  expect(stage.connection.writableLength).toBe(0)
  await stage.until(() => client.received === 'now')
  stage.connection.close()
  expect(stage.connection.state).toBe('closing')
  await stage.until(() => client.ended)
  await stage.finish()
})

scenario('a server adopts a detached connection, and reads the bytes that were put back', async (bench) => {
  const tickets: SocketTicket[] = []
  const stage = new Stage(bench, (connection) => {
    connection.onData = (one, chunk) => {
      one.unread(chunk)
      tickets.push(one.detach())
    }
  })
  const server = new Server(stage.multi, {
    strategy: {
      callback: (one) => {
        const chunk = one.readView()
        if (typeof chunk !== 'number') one.write(chunk)
      },
    },
  })
  server.start()
  const client = stage.connect()
  client.write('head')
  await stage.until(() => tickets.length === 1)
  const adopted = server.adopt(tickets[0] as SocketTicket)
  await stage.until(() => client.received === 'head')
  client.write(' and tail')
  await stage.until(() => client.received === 'head and tail')
  expect(adopted.peer).toEqual(stage.connection.peer)
  expect(() => server.adopt(tickets[0] as SocketTicket)).toThrow()
  adopted.abort()
  await stage.until(() => client.isOver)
  await stage.finish()
  const stopped = server.stop()
  await stage.until(() => !server.active)
  await stopped
})

scenario('what is corked leaves in one piece', async (bench) => {
  const stage = new Stage(bench, (connection) => {
    connection.cork()
    for (const word of ['one ', 'two ', 'three']) connection.write(word)
  })
  const client = stage.connect()
  await stage.pass()
  expect(client.received).toBe('')
  expect(stage.connection.writableLength).toBe(13)
  stage.connection.uncork()
  await stage.until(() => client.received === 'one two three')
  stage.connection.cork()
  stage.connection.write('!')
  stage.connection.close()
  await stage.until(() => client.ended)
  expect(client.received).toBe('one two three!')
  await stage.finish()
})

scenario('a Multi that is closed closes its connections without a word', async (bench) => {
  const stage = new Stage(bench, echoBack)
  const client = stage.connect()
  await stage.until(() => stage.connections.length === 1)
  const { signal } = stage.connection
  stage.connection.write('x')
  stage.multi.close()
  expect(stage.ends).toEqual([])
  expect(stage.connection.state).toBe('closed')
  stage.connection.close()
  stage.connection.abort()
  expect(stage.connection.write('y')).toBe(false)
  expect(() => stage.connection.detach()).toThrow(/closed/)
  await Promise.resolve()
  await Promise.resolve()
  expect(signal.aborted).toBe(true)
  client.close()
})

scenario('after its end a connection does nothing, whatever is asked', async (bench) => {
  const stage = new Stage(bench, echoBack)
  const idle = stage.connect()
  await stage.until(() => stage.connections.length > 0 && stage.connection.open)
  const connection = stage.connections[stage.connections.length - 1] as Connection
  connection.abort()
  const askEverything = async (): Promise<void> => {
    for (const verb of ['pause', 'resume', 'cork', 'uncork', 'shutdownWrite', 'close', 'abort'] as const) {
      expect(connection[verb]()).toBe(undefined)
    }
    connection.extend(10)
    connection.idleTimeoutMs = 5
    connection.onData = null
    connection.onEnd = () => {}
    connection.unread(Buffer.from('x'))
    connection.name = 'gone'
    expect(connection.write('x')).toBe(false)
    expect(connection.read(new Uint8Array(1))).toBe(0)
    expect([connection.fd, connection.state, connection.tls, connection.peerCredentials]).toEqual([
      -1,
      'closed',
      null,
      null,
    ])
    expect(connection.signal.aborted).toBe(true)
    expect(await connection.receive()).toBe(null)
    await expect(connection.send('x')).rejects.toThrow(/closed/)
  }
  await askEverything()
  idle.close()
  await stage.finish()
  stage.multi.close()
  await askEverything()
})

scenario('at rest, paused and unheeded, a connection makes no system call', async (bench) => {
  const { simulation } = bench
  // A badly behaved loop reports what is not so.
  if (simulation === null || bench.driver.includes('badly')) return
  const stage = new Stage(bench, (connection) => {
    connection.idleTimeoutMs = 0
    if (stage.connections.length === 1) connection.pause()
    connection.onReadable = () => {}
  })
  const clients = [stage.connect(), stage.connect(), stage.connect()]
  for (const client of clients.slice(0, 2)) client.write('unheeded')
  await stage.until(() => stage.connections.length === 3)
  await bench.pass(stage.multi, 500)
  const calls = simulation.kernel.progress
  const before = simulation.world.trace.length
  await bench.pass(stage.multi, 5_000)
  const after = simulation.world.trace.slice(before).filter((line) => !/ wait /.test(line))
  expect(after).toEqual([])
  expect(simulation.kernel.progress).toBe(calls)
  for (const connection of stage.connections) connection.abort()
  await stage.finish()
})

scenario('wrong arguments name themselves', async (bench) => {
  const stage = new Stage(bench, () => {})
  stage.connect()
  await stage.until(() => stage.connections.length === 1)
  const { connection } = stage
  expect(() => connection.read('x' as unknown as Uint8Array)).toThrow(/into must be a Uint8Array/)
  expect(() => connection.write(1 as unknown as string)).toThrow(/bytes must be a Uint8Array or a string/)
  expect(() => connection.readView(0)).toThrow(/lengthMax must be at least 1/)
  expect(() => connection.extend(-1)).toThrow(/milliseconds must be/)
  expect(() => {
    connection.onData = 1 as unknown as null
  }).toThrow(/onData must be a function/)
  expect(() => {
    connection.name = 'x'.repeat(128)
  }).toThrow(/name must be at most 127/)
  connection.close()
  await stage.finish()
})
