import { describe, expect, it } from 'vitest'
import {
  attachToNodeLoop,
  kernel,
  Multi,
  MultiError,
  type MultiOptions,
  Poller,
  runPollLoop,
  Transfer,
  type TransferOptions,
} from '../../lib/index.ts'
import { ownedCount, systemCalls } from '../../lib/sys/native.ts'

type Kind = typeof TypeError | typeof RangeError | typeof MultiError
/** What is called, and how the error must look: its kind, and words of its message: the option, and the value. */
type Case = readonly [name: string, call: () => unknown, kind: Kind, ...words: string[]]

function multiWith(options: Readonly<Record<string, unknown>>): () => unknown {
  return () => new Multi(options as MultiOptions)
}

function transferWith(options: Readonly<Record<string, unknown>>): () => unknown {
  return () => new Transfer({ url: 'http://x.test/', ...options } as TransferOptions)
}

const multiCases: Case[] = [
  ['no object', () => new Multi(null as unknown as MultiOptions), TypeError, 'null'],
  ['an array', () => new Multi([] as unknown as MultiOptions), TypeError, 'array'],
  ['an unknown key', multiWith({ maxConnects: 5 }), TypeError, 'maxConnects'],
  ['a key in the wrong case', multiWith({ maxidleconnections: 5 }), TypeError, 'maxIdleConnections'],
  ['a socket function that is none', multiWith({ socketFunction: 5 }), TypeError, 'socketFunction', '5'],
  ['a timer function that is none', multiWith({ timerFunction: 'f' }), TypeError, 'timerFunction', '"f"'],
  ['a notify function that is none', multiWith({ notifyFunction: {} }), TypeError, 'notifyFunction', 'object'],
  ['an activity function that is none', multiWith({ activityFunction: true }), TypeError, 'activityFunction', 'true'],
  ['a negative limit', multiWith({ maxIdleConnections: -1 }), RangeError, 'maxIdleConnections', '-1'],
  ['a limit of none', multiWith({ maxHostConnections: 0 }), RangeError, 'maxHostConnections', '0'],
  ['a broken limit', multiWith({ maxTotalConnections: 1.5 }), RangeError, 'maxTotalConnections', '1.5'],
  ['a limit without end', multiWith({ maxTotalConnections: Infinity }), RangeError, 'maxTotalConnections', 'Infinity'],
  ['a limit that is no number', multiWith({ maxHostConnections: '5' }), TypeError, 'maxHostConnections', '"5"'],
  ['NaN', multiWith({ maxHostConnections: Number.NaN }), RangeError, 'maxHostConnections', 'NaN'],
  ['no boolean', multiWith({ watchIdleConnections: 1 }), TypeError, 'watchIdleConnections', '1'],
  ['no kernel', multiWith({ kernel: 'linux' }), TypeError, 'kernel', '"linux"'],
  ['no clock', multiWith({ clock: {} }), TypeError, 'clock'],
  ['no resolver', multiWith({ resolver: 5 }), TypeError, 'resolver', '5'],
]

const transferCases: Case[] = [
  ['nothing', () => new Transfer(undefined as unknown as TransferOptions), TypeError, 'undefined'],
  ['no url', () => new Transfer({} as TransferOptions), TypeError, 'url'],
  ['an unknown key', transferWith({ followLocation: true }), TypeError, 'followLocation'],
  ['a key in the wrong case', transferWith({ timeoutMS: 5 }), TypeError, 'timeoutMs'],
  ['a url that is no text', transferWith({ url: 5 }), TypeError, 'url', '5'],
  ['a relative url', transferWith({ url: '/path' }), TypeError, 'url', '/path'],
  ['another scheme', transferWith({ url: 'ftp://x.test/' }), TypeError, 'url', 'ftp'],
  ['a url with a line end', transferWith({ url: 'http://x.test/a\nb' }), TypeError, 'url'],
  ['port 0', transferWith({ url: 'http://x.test:0/' }), TypeError, 'url', ':0'],
  ['port 65536', transferWith({ url: 'http://x.test:65536/' }), TypeError, 'url', '65536'],
  ['tcp without connectOnly', transferWith({ url: 'tcp://x.test:5' }), TypeError, 'connectOnly'],
  ['tcp without a port', transferWith({ url: 'tcp://x.test', connectOnly: true }), TypeError, 'url'],
  ['a method with a blank', transferWith({ method: 'GET /' }), TypeError, 'method', 'GET /'],
  ['an empty method', transferWith({ method: '' }), TypeError, 'method'],
  ['a method with a line end', transferWith({ method: 'GET\r\nX' }), TypeError, 'method'],
  ['headers that are text', transferWith({ headers: 'x: y' }), TypeError, 'headers', 'x: y'],
  ['a header name with a colon', transferWith({ headers: { 'x:': 'y' } }), TypeError, 'headers', 'x:'],
  ['a header value with a line end', transferWith({ headers: { x: 'a\r\nb: c' } }), TypeError, "headers['x']"],
  ['a header value with NUL', transferWith({ headers: { x: 'a\0' } }), TypeError, "headers['x']"],
  ['a header value that is a number', transferWith({ headers: { x: 5 } }), TypeError, "headers['x']", '5'],
  ['a header pair of three', transferWith({ headers: [['a', 'b', 'c']] }), TypeError, 'headers'],
  ['a content length', transferWith({ headers: { 'Content-Length': '5' } }), TypeError, 'Content-Length'],
  [
    'a transfer encoding',
    transferWith({ headers: { 'transfer-encoding': 'chunked' } }),
    TypeError,
    'transfer-encoding',
  ],
  ['a body that is a number', transferWith({ body: 5 }), TypeError, 'body', '5'],
  ['a body length without a body', transferWith({ bodyLength: 5 }), RangeError, 'bodyLength', '5'],
  ['a body length that is not its own', transferWith({ body: 'abc', bodyLength: 5 }), RangeError, 'bodyLength', '5'],
  ['a negative body length', transferWith({ body: () => null, bodyLength: -1 }), RangeError, 'bodyLength', '-1'],
  ['trailers that are no function', transferWith({ requestTrailers: {} }), TypeError, 'requestTrailers'],
  ['an empty unix path', transferWith({ unixSocketPath: '' }), RangeError, 'unixSocketPath'],
  ['a long unix path', transferWith({ unixSocketPath: 'x'.repeat(200) }), RangeError, 'unixSocketPath'],
  ['a unix path with NUL', transferWith({ unixSocketPath: '/a\0b' }), TypeError, 'unixSocketPath'],
  ['resolve that is text', transferWith({ resolve: 'a:1:1.2.3.4' }), TypeError, 'resolve'],
  ['a resolve entry without an address', transferWith({ resolve: ['a:1'] }), TypeError, 'resolve', 'a:1'],
  ['a resolve entry with a name', transferWith({ resolve: ['a:1:b.test'] }), TypeError, 'resolve', 'b.test'],
  ['a resolve entry that is a number', transferWith({ resolve: [5] }), TypeError, 'resolve', '5'],
  ['IP version 5', transferWith({ ipVersion: 5 }), RangeError, 'ipVersion', '5'],
  ['a negative time', transferWith({ timeoutMs: -1 }), RangeError, 'timeoutMs', '-1'],
  ['a time without end', transferWith({ connectTimeoutMs: Infinity }), RangeError, 'connectTimeoutMs', 'Infinity'],
  ['a time that is NaN', transferWith({ idleTimeoutMs: Number.NaN }), RangeError, 'idleTimeoutMs', 'NaN'],
  ['a time that is text', transferWith({ timeoutMs: '1s' }), TypeError, 'timeoutMs', '"1s"'],
  ['a time that is a bigint', transferWith({ timeoutMs: 5n }), TypeError, 'timeoutMs', '5'],
  ['a head of no bytes', transferWith({ maxHeadBytes: 0 }), RangeError, 'maxHeadBytes', '0'],
  ['a callback that is none', transferWith({ onData: 5 }), TypeError, 'onData', '5'],
  ['a callback that is null', transferWith({ onHead: null }), TypeError, 'onHead', 'null'],
  ['a symbol', transferWith({ timeoutMs: Symbol('x') }), TypeError, 'timeoutMs', 'Symbol(x)'],
]

function withMulti(call: (multi: Multi) => unknown): () => unknown {
  return () => {
    const multi = new Multi()
    try {
      return call(multi)
    } finally {
      multi.close()
    }
  }
}

function bad<T>(value: unknown): T {
  return value as T
}

const pairs = new Int32Array(4)
const callCases: Case[] = [
  ['add of no transfer', withMulti((multi) => multi.add(bad({}))), TypeError, 'Transfer'],
  ['add of null', withMulti((multi) => multi.add(bad(null))), TypeError, 'Transfer'],
  ['remove of no transfer', withMulti((multi) => multi.remove(bad('x'))), TypeError, 'Transfer'],
  ['socketAction -2', withMulti((multi) => multi.socketAction(-2)), RangeError, 'fd', '-2'],
  ['socketAction 1.5', withMulti((multi) => multi.socketAction(1.5)), RangeError, 'fd', '1.5'],
  ['socketAction of text', withMulti((multi) => multi.socketAction(bad('3'))), TypeError, 'fd', '"3"'],
  ['socketAction of NaN', withMulti((multi) => multi.socketAction(Number.NaN)), RangeError, 'fd', 'NaN'],
  ['readiness 8', withMulti((multi) => multi.socketAction(3, 8)), RangeError, 'readiness', '8'],
  ['readiness -1', withMulti((multi) => multi.socketAction(3, -1)), RangeError, 'readiness', '-1'],
  ['readiness of text', withMulti((multi) => multi.socketAction(3, bad('1'))), TypeError, 'readiness', '"1"'],
  ['a batch that is an array', withMulti((multi) => multi.socketActionBatch(bad([3, 1]), 1)), TypeError, 'pairs'],
  ['more than the batch has', withMulti((multi) => multi.socketActionBatch(pairs, 3)), RangeError, 'count', '3'],
  ['a negative count', withMulti((multi) => multi.socketActionBatch(pairs, -1)), RangeError, 'count', '-1'],
  ['poll -2', withMulti((multi) => multi.poll(-2)), RangeError, 'timeoutMs', '-2'],
  ['poll of text', withMulti((multi) => multi.poll(bad('5'))), TypeError, 'timeoutMs', '"5"'],
  ['poll for ever and a day', withMulti((multi) => multi.poll(2 ** 31)), RangeError, 'timeoutMs'],
  ['poll with an object', withMulti((multi) => multi.poll(0, bad({}))), TypeError, 'extra'],
  ['poll with a wrong entry', withMulti((multi) => multi.poll(0, bad([5]))), TypeError, 'extra'],
  [
    'poll with a descriptor that is text',
    withMulti((multi) => multi.poll(0, bad([{ fd: 'x', interest: 1, readiness: 0 }]))),
    TypeError,
    'fd',
  ],
  ['assign to text', withMulti((multi) => multi.assign(bad('x'), 1)), TypeError, 'fd'],
  ['a socket function', withMulti((multi) => multi.setSocketFunction(bad(5))), TypeError, 'socketFunction', '5'],
  ['a timer function', withMulti((multi) => multi.setTimerFunction(bad({}))), TypeError, 'timerFunction'],
  ['a notify function', withMulti((multi) => multi.setNotifyFunction(bad('x'))), TypeError, 'notifyFunction'],
  ['an activity function', withMulti((multi) => multi.setActivityFunction(bad(1))), TypeError, 'activityFunction'],
  ['a loop around nothing', () => runPollLoop(bad<Multi>(null)), TypeError],
  ['a loop with an unknown key', withMulti((multi) => runPollLoop(multi, bad({ till: 5 }))), TypeError, 'till'],
  ['a loop until 5', withMulti((multi) => runPollLoop(multi, bad({ until: 5 }))), TypeError, 'until', '5'],
  ['a loop on nothing known', withMulti((multi) => runPollLoop(multi, bad({ backend: 'iocp' }))), RangeError, 'iocp'],
  ['a loop that waits -1', withMulti((multi) => runPollLoop(multi, { maxWaitMs: -1 })), RangeError, 'maxWaitMs', '-1'],
  ['a loop around a closed Multi', () => runPollLoop(closedMulti()), MultiError, 'closed'],
  ["Node's loop around a closed Multi", () => attachToNodeLoop(closedMulti()), MultiError, 'closed'],
  ["Node's loop around nothing", () => attachToNodeLoop(bad<Multi>(null)), TypeError],
  ["Node's loop around an object", () => attachToNodeLoop(bad<Multi>({})), TypeError],
  ['a poller with an unknown key', () => new Poller(bad({ size: 5 })), TypeError, 'size'],
  ['a poller of nothing known', () => new Poller(bad({ backend: 'iocp' })), RangeError, 'backend', 'iocp'],
  ['a poller of a number', () => new Poller(bad({ backend: 5 })), TypeError, 'backend', '5'],
  ['a poller for nothing', () => new Poller({ capacity: 0 }), RangeError, 'capacity', '0'],
  ['a poller for too much', () => new Poller({ capacity: 2 ** 30 }), RangeError, 'capacity'],
  ['a pause of something', () => transfer().pause(bad('up')), TypeError, 'up'],
  ['a resume of something', () => transfer().resume(bad(3)), TypeError, '3'],
  ['sending text', () => transfer().send(bad('x')), TypeError, '"x"'],
  ['receiving into an array', () => transfer().receive(bad([])), TypeError, 'array'],
  ['a reset to nonsense', () => transfer().reset(bad({ url: 5 })), TypeError, 'url', '5'],
  ['a clone with nonsense', () => transfer().clone(bad({ timeoutMs: -1 })), RangeError, 'timeoutMs', '-1'],
  ['memory of no bytes', () => kernel.allocate(0), RangeError],
]

function closedMulti(): Multi {
  const multi = new Multi()
  multi.close()
  return multi
}

function transfer(): Transfer {
  return new Transfer({ url: 'http://x.test/' })
}

function caught(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return null
}

describe.each([
  ['Multi', multiCases],
  ['Transfer', transferCases],
  ['a call', callCases],
] as const)('%s refuses, before anything is opened,', (_name, cases) => {
  it.each(cases.map((each) => ({ title: each[0], each })))('$title', ({ each }) => {
    const [, call, kind, ...words] = each
    const owned = ownedCount()
    const before = JSON.stringify(systemCalls())
    const error = caught(call)
    expect(error).toBeInstanceOf(kind)
    for (const word of words) expect((error as Error).message).toContain(word)
    expect(ownedCount()).toBe(owned)
    expect(JSON.stringify(systemCalls()), 'system calls were made').toBe(before)
  })
})

it('takes undefined for an option that was left out', () => {
  const options = { maxIdleConnections: undefined, socketFunction: undefined, kernel: undefined }
  expect(() => new Multi(options as unknown as MultiOptions).close()).not.toThrow()
  const given = { url: 'http://x.test/', onData: undefined, body: undefined, timeoutMs: undefined }
  expect(() => new Transfer(given as unknown as TransferOptions)).not.toThrow()
})

it('is still usable after each refusal', () => {
  const multi = new Multi()
  for (const call of [() => multi.socketAction(-2), () => multi.poll(-2), () => multi.add(bad(null))]) {
    expect(call).toThrow()
    expect(multi.perform()).toBe(0)
  }
  multi.close()
})
