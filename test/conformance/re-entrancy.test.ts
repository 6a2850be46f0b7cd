import { describe, expect, it } from 'vitest'
import { Multi, MultiError, runPollLoop, Transfer } from '../../lib/index.ts'
import { simulate } from '../sim/simulation.ts'
import { originThread } from './drivers.ts'
import { HandLoop } from './hand-loop.ts'
import { ALL_PLACES, buildStage, type Stage } from './re-entrancy-stage.ts'

type Outcome = 'allowed' | 'deferred' | 'RECURSIVE_API_CALL' | 'BAD_HANDLE' | 'BAD_EASY_HANDLE'

interface Row {
  readonly inside: Outcome
  readonly afterClose: Outcome
  call(stage: Stage): unknown
  /** Of what is deferred: its effect can be seen. */
  seen?(stage: Stage): boolean
}

const NEW_SOCKET_FUNCTION = (): void => {}

/** Every public method and getter of Multi. */
const multiRows: Readonly<Record<string, Row>> = {
  add: {
    inside: 'deferred',
    afterClose: 'BAD_HANDLE',
    call: ({ multi, free }) => multi.add(free),
    seen: ({ multi, free }) => multi.transfers.includes(free),
  },
  remove: {
    inside: 'deferred',
    afterClose: 'allowed',
    call: ({ multi, other }) => multi.remove(other),
    seen: ({ multi, other }) => !multi.transfers.includes(other),
  },
  setSocketFunction: {
    inside: 'deferred',
    afterClose: 'BAD_HANDLE',
    call: ({ multi }) => multi.setSocketFunction(NEW_SOCKET_FUNCTION),
    seen: ({ loop }) => loop.interests.size === 0,
  },
  setTimerFunction: {
    inside: 'deferred',
    afterClose: 'BAD_HANDLE',
    call: ({ multi }) => multi.setTimerFunction(null),
    seen: ({ loop }) => loop.deadline === Number.POSITIVE_INFINITY,
  },
  setNotifyFunction: {
    inside: 'deferred',
    afterClose: 'BAD_HANDLE',
    call: ({ multi }) => multi.setNotifyFunction(null),
  },
  setActivityFunction: {
    inside: 'deferred',
    afterClose: 'BAD_HANDLE',
    call: ({ multi }) => multi.setActivityFunction(null),
  },
  socketAction: { inside: 'RECURSIVE_API_CALL', afterClose: 'BAD_HANDLE', call: ({ multi }) => multi.socketAction(-1) },
  socketActionBatch: {
    inside: 'RECURSIVE_API_CALL',
    afterClose: 'BAD_HANDLE',
    call: ({ multi }) => multi.socketActionBatch(new Int32Array(2), 0),
  },
  socketAll: { inside: 'RECURSIVE_API_CALL', afterClose: 'BAD_HANDLE', call: ({ multi }) => multi.socketAll() },
  perform: { inside: 'RECURSIVE_API_CALL', afterClose: 'BAD_HANDLE', call: ({ multi }) => multi.perform() },
  poll: { inside: 'RECURSIVE_API_CALL', afterClose: 'BAD_HANDLE', call: ({ multi }) => multi.poll(0) },
  upkeep: { inside: 'RECURSIVE_API_CALL', afterClose: 'BAD_HANDLE', call: ({ multi }) => multi.upkeep() },
  close: { inside: 'RECURSIVE_API_CALL', afterClose: 'allowed', call: ({ multi }) => multi.close() },
  [String(Symbol.dispose)]: {
    inside: 'RECURSIVE_API_CALL',
    afterClose: 'allowed',
    call: ({ multi }) => multi[Symbol.dispose](),
  },
  wakeup: { inside: 'allowed', afterClose: 'BAD_HANDLE', call: ({ multi }) => multi.wakeup() },
  waker: { inside: 'allowed', afterClose: 'BAD_HANDLE', call: ({ multi }) => multi.waker },
  clearWakeup: { inside: 'allowed', afterClose: 'allowed', call: ({ multi }) => multi.clearWakeup() },
  waitFds: { inside: 'allowed', afterClose: 'allowed', call: ({ multi }) => multi.waitFds() },
  timeout: { inside: 'allowed', afterClose: 'allowed', call: ({ multi }) => multi.timeout() },
  assign: {
    inside: 'allowed',
    afterClose: 'BAD_HANDLE',
    call: ({ multi, loop }) => {
      const [fd] = multi.closed ? [3] : loop.interests.keys()
      if (fd !== undefined) multi.assign(fd, 'data')
    },
  },
  infoRead: { inside: 'allowed', afterClose: 'allowed', call: ({ multi }) => multi.infoRead() },
  running: { inside: 'allowed', afterClose: 'allowed', call: ({ multi }) => multi.running },
  active: { inside: 'allowed', afterClose: 'allowed', call: ({ multi }) => multi.active },
  closed: { inside: 'allowed', afterClose: 'allowed', call: ({ multi }) => multi.closed },
  transfers: { inside: 'allowed', afterClose: 'allowed', call: ({ multi }) => multi.transfers },
  stats: { inside: 'allowed', afterClose: 'allowed', call: ({ multi }) => multi.stats },
}

const raw = (call: (transfer: Transfer) => unknown): Row => ({
  inside: 'RECURSIVE_API_CALL',
  afterClose: 'BAD_EASY_HANDLE',
  call: (stage) => call(stage.raw),
})

/** Every public method and getter of Transfer. */
const transferRows: Readonly<Record<string, Row>> = {
  info: { inside: 'allowed', afterClose: 'allowed', call: ({ own }) => own.info },
  pause: { inside: 'allowed', afterClose: 'allowed', call: ({ other }) => other.pause() },
  resume: { inside: 'allowed', afterClose: 'allowed', call: ({ other }) => other.resume() },
  reset: { inside: 'allowed', afterClose: 'allowed', call: ({ free }) => free.reset() },
  clone: { inside: 'allowed', afterClose: 'allowed', call: ({ own }) => own.clone() },
  send: raw((transfer) => transfer.send(new Uint8Array(1))),
  receive: raw((transfer) => transfer.receive(new Uint8Array(1))),
  hasPending: { inside: 'allowed', afterClose: 'allowed', call: ({ own }) => own.hasPending },
  shutdownWrite: raw((transfer) => transfer.shutdownWrite()),
  webSocket: {
    inside: 'allowed',
    afterClose: 'allowed',
    call: () => new Transfer({ url: 'ws://127.0.0.1/' }).webSocket.state,
  },
}
/** For this library's own machines. */
const INTERNAL = ['callbacks', 'finish', 'flow', 'hold', 'webSocketSession', 'Symbol(begin)', 'Symbol(release)']

function publicNames(prototype: object): string[] {
  const names = Reflect.ownKeys(prototype).map(String)
  return names.filter((name) => name !== 'constructor' && !INTERNAL.includes(name)).sort()
}

describe('the table', () => {
  it('has a row for every method of Multi', () => {
    expect(Object.keys(multiRows).sort()).toEqual(publicNames(Multi.prototype))
  })

  it('has a row for every method of Transfer', () => {
    expect(Object.keys(transferRows).sort()).toEqual(publicNames(Transfer.prototype))
  })
})

function outcomeOf(row: Row, stage: Stage): Outcome {
  const before = row.seen?.(stage) ?? false
  try {
    row.call(stage)
  } catch (error) {
    if (error instanceof MultiError) return error.code as Outcome
    throw error
  }
  if (row.inside !== 'deferred') return 'allowed'
  return row.seen !== undefined && row.seen(stage) !== before ? 'allowed' : 'deferred'
}

const rows = { ...multiRows, ...transferRows }

describe.each(ALL_PLACES)('inside %s', (place) => {
  it.each(Object.entries(rows))('%s', (name, row) => {
    let outcome: Outcome | null = null
    const stage = buildStage(place, (there) => {
      outcome = outcomeOf(row, there)
    })
    const { multi, loop, own, free, other } = stage
    // A new socket or timer function leaves the loop without its ears: the test goes on by perform.
    const isDeaf = name === 'setSocketFunction' || name === 'setTimerFunction'
    const turn = isDeaf ? () => performOn(stage) : () => loop.step()
    for (let steps = 0; !stage.acted() && steps < 500; steps++) turn()
    expect(stage.acted(), 'the place was never reached').toBe(true)
    expect(outcome).toBe(row.inside)
    if (name === 'pause') other.resume()
    if (row.seen !== undefined) expect(row.seen(stage), 'its effect, once the stack unwound').toBe(true)
    for (let steps = 0; multi.running > 0 && steps < 3000; steps++) turn()
    expect(multi.running, 'everything ends').toBe(0)
    expectEnds(stage, name === 'add' ? [own, other, free] : name === 'remove' ? [own] : [own, other], name)
    multi.close()
    if (!isDeaf) stage.simulation.assertQuiescent()
  })
})

function performOn({ simulation, multi }: Stage): void {
  multi.perform()
  simulation.world.advanceTo(simulation.world.now + 1)
}

function expectEnds(stage: Stage, wanted: readonly Transfer[], name: string): void {
  const { multi } = stage
  const ended = new Set<Transfer>()
  for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
    expect(message.code, message.error?.message).toBe(0)
    ended.add(message.transfer)
  }
  // infoRead inside a callback may have taken one.
  const taken = name === 'infoRead' ? 1 : 0
  expect(ended.size).toBeGreaterThanOrEqual(wanted.length - taken)
  for (const transfer of ended) expect(wanted).toContain(transfer)
}

describe('after close', () => {
  it.each(Object.entries(rows))('%s', (_name, row) => {
    const stage = buildStage('onHead', () => {})
    stage.loop.run()
    stage.multi.close()
    const told = stage.loop.told.length
    let outcome: Outcome = 'allowed'
    try {
      row.call(stage)
    } catch (error) {
      if (!(error instanceof MultiError)) throw error
      outcome = error.code as Outcome
    }
    expect(outcome).toBe(row.afterClose)
    expect(stage.loop.told.length, 'nothing is told any more').toBe(told)
    stage.simulation.assertQuiescent()
  })
})

describe('from a callback', () => {
  it.each(ALL_PLACES)('in %s: resume of a paused transfer makes it go on', (place) => {
    const stage = buildStage(
      place,
      ({ free }) => free.resume(),
      ({ multi, free }) => {
        free.pause('receive')
        multi.add(free)
      },
    )
    const { multi, loop, free } = stage
    loop.run()
    expect(stage.acted()).toBe(true)
    expect(free.info.bytesReceived).toBe(33)
    multi.close()
    stage.simulation.assertQuiescent()
  })

  it.each(ALL_PLACES)('in %s: removing oneself ends it without a message', (place) => {
    const stage = buildStage(place, ({ multi, own }) => multi.remove(own))
    const { multi, loop, own } = stage
    loop.run()
    expect(multi.transfers).not.toContain(own)
    for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
      expect(message.transfer).not.toBe(own)
    }
    multi.close()
    stage.simulation.assertQuiescent()
  })

  it.each(ALL_PLACES)('in %s: remove and add of the same transfer begin it anew', (place) => {
    const stage = buildStage(place, ({ multi, own }) => {
      multi.remove(own)
      multi.add(own)
      multi.remove(own)
      multi.add(own)
    })
    const { multi, loop, own } = stage
    loop.run()
    expect(stage.acted()).toBe(true)
    const messages: Transfer[] = []
    for (let message = multi.infoRead(); message !== undefined; message = multi.infoRead()) {
      messages.push(message.transfer)
      expect(message.code, message.error?.message).toBe(0)
    }
    expect(messages.filter((transfer) => transfer === own).length).toBe(1)
    if (stage.bytes !== null) expect(own.info.bytesReceived).toBe(stage.bytes)
    multi.close()
    stage.simulation.assertQuiescent()
  })

  it.each(ALL_PLACES)('in %s: a transfer that moves to another Multi runs there', (place) => {
    let second: HandLoop | undefined
    const stage = buildStage(place, ({ simulation, multi, other }) => {
      second = new HandLoop(simulation)
      multi.remove(other)
      try {
        second.multi.add(other)
      } catch (error) {
        // Refusing until the stack has unwound is as good.
        expect(error).toMatchObject({ code: 'ADDED_ALREADY' })
      }
    })
    const { multi, loop, other } = stage
    for (let steps = 0; !stage.acted() && steps < 500; steps++) loop.step()
    const elsewhere = (second as unknown as HandLoop).multi
    if (elsewhere.running === 0) elsewhere.add(other)
    expect(multi.transfers).not.toContain(other)
    for (let steps = 0; multi.running + elsewhere.running > 0 && steps < 1000; steps++) {
      multi.perform()
      elsewhere.perform()
      stage.simulation.world.advanceTo(stage.simulation.world.now + 1)
    }
    expect([multi.running, elsewhere.running]).toEqual([0, 0])
    expect(elsewhere.infoRead()).toMatchObject({ transfer: other, code: 0 })
    multi.close()
    elsewhere.close()
  })
})

it('lets everything be called from activityFunction, which stands outside', () => {
  const simulation = simulate(1)
  const states: boolean[] = []
  let acted = false
  const next = new Transfer({ url: `http://${simulation.origin.host}/bytes/5` })
  const loop: HandLoop = new HandLoop(simulation, {
    activityFunction: (active) => {
      states.push(active)
      if (active || acted) return
      acted = true
      loop.multi.add(next)
      loop.multi.socketAction(-1)
    },
  })
  loop.multi.add(new Transfer({ url: `http://${simulation.origin.host}/bytes/5` }))
  loop.run()
  expect(states).toEqual([true, false, true, false])
  expect(next.info.bytesReceived).toBe(5)
  loop.multi.close()
  simulation.assertQuiescent()
})

it('refuses a loop inside a callback, and the loop around it goes on', async () => {
  const { port } = await originThread().open({})
  const multi = new Multi()
  const errors: unknown[] = []
  const add = (path: string, onData?: () => void): void =>
    multi.add(new Transfer({ url: `http://127.0.0.1:${port}${path}`, ...(onData === undefined ? {} : { onData }) }))
  add('/bytes/5', () => {
    try {
      runPollLoop(multi)
    } catch (error) {
      errors.push(error)
    }
  })
  add('/slow/50/5')
  const giveUpAt = performance.now() + 5000
  expect(runPollLoop(multi, { until: () => performance.now() > giveUpAt })).toBe(0)
  expect(errors).toMatchObject([{ code: 'RECURSIVE_API_CALL' }])
  multi.close()
})
