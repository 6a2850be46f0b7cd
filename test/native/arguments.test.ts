/** Every verb with every kind of wrong argument: it throws, moves nothing, and never crashes. */
import { describe, expect, it } from 'vitest'
import type { DescriptorSharing } from '../../lib/sys/descriptor-sharing.ts'
import type { Kernel } from '../../lib/sys/kernel.ts'
import { descriptorSharing, fileVerbs, kernel, thread } from '../../lib/sys/native.ts'
import { answer, checkForLeaks, closeAll, openPair, recvText } from './support.ts'

checkForLeaks()

type FileVerb = 'openFile' | 'fileStatus' | 'readFile'
type VerbName = Exclude<keyof Kernel, 'errno'> | keyof DescriptorSharing | 'setNiceness' | FileVerb
type Verb = (...values: unknown[]) => unknown

const { open: openFile, status: fileStatus, read: readFile } = fileVerbs
const verbs = {
  ...kernel, ...descriptorSharing, setNiceness: thread.setNiceness, openFile, fileStatus, readFile,
} // biome-ignore format: a table

function verb(name: VerbName): Verb {
  return verbs[name] as Verb
}

const NOT_NUMBERS = [undefined, null, '1', {}, [], true, 1n, Symbol('s'), () => 1]
const NOT_INTEGERS = [Number.NaN, 1.5, Number.POSITIVE_INFINITY, -Infinity, 2 ** 31, 2 ** 32, -(2 ** 31) - 1]
const NOT_STRINGS = [undefined, null, 1, {}, Symbol('s')]
const NOT_ARRAYS = [
  undefined,
  null,
  1,
  'text',
  [],
  {},
  new ArrayBuffer(16),
  new Float32Array(8),
  new DataView(new ArrayBuffer(8)),
]

const buffer = kernel.allocate(64)
const pair = new Int32Array(2)
const bytes = new Uint8Array(64)
const fours = new Int32Array(8)
const figures = new Float64Array(3)
const threes = new Int32Array(6)

/** Valid arguments of every verb, apart from the descriptor, which is nobody's. The kind says how to spoil each. */
type Kind = 'integer' | 'string' | 'int32' | 'bytes' | 'doubles' | 'pieces' | 'timeout' | 'position'
const SIGNATURES: Record<Exclude<VerbName, 'openWakeup' | 'descriptorLimit'>, Array<[Kind, unknown]>> = {
  allocate: [['integer', 1]],
  release: [['integer', 1]],
  generation: [['integer', -1]],
  adopt: [['integer', -1]],
  disown: [['integer', -1], ['integer', 1]],
  offer: [['integer', -1]],
  claim: [['integer', -1], ['integer', 1]],
  withdraw: [['integer', -1], ['integer', 1]],
  share: [['integer', -1]],
  duplicate: [['integer', -1], ['integer', 1]],
  sendDescriptors: [
    ['integer', -1], ['int32', pair], ['integer', 0], ['integer', buffer.id], ['integer', 0], ['integer', 1],
  ],
  receiveDescriptors: [['integer', -1], ['int32', pair], ['integer', buffer.id], ['integer', 0], ['integer', 1]],
  setNiceness: [['integer', 0]],
  close: [['integer', -1]],
  pipe: [['int32', pair]],
  socketPair: [['int32', pair]],
  socket: [['integer', 4]],
  setOption: [['integer', -1], ['integer', 2], ['integer', 1]],
  getOption: [['integer', -1], ['integer', 2]],
  bind: [['integer', -1], ['integer', 4], ['string', '127.0.0.1'], ['integer', 0]],
  bindToDevice: [['integer', -1], ['string', 'lo']],
  deviceAddresses: [['string', 'lo']],
  listen: [['integer', -1], ['integer', 1]],
  accept: [['integer', -1]],
  connect: [['integer', -1], ['integer', 4], ['string', '127.0.0.1'], ['integer', 0]],
  localAddress: [['integer', -1]],
  peerAddress: [['integer', -1]],
  peerCredentials: [['integer', -1]],
  setMode: [['integer', -1], ['integer', 0o600]],
  setPathMode: [['string', '/nowhere/a'], ['integer', 0o600]],
  fileIdentity: [['string', '/nowhere/a']],
  unlink: [['string', '/nowhere/a']],
  lockFile: [['string', '/nowhere/a']],
  recv: [['integer', -1], ['integer', buffer.id], ['integer', 0], ['integer', 1]],
  peek: [['integer', -1], ['integer', buffer.id], ['integer', 0], ['integer', 1]],
  send: [['integer', -1], ['integer', buffer.id], ['integer', 0], ['integer', 1]],
  sendBytes: [['integer', -1], ['bytes', bytes], ['integer', 0], ['integer', 1]],
  sendPieces: [['integer', -1], ['pieces', [bytes, bytes]], ['integer', 0], ['integer', 0]],
  read: [['integer', -1], ['integer', buffer.id], ['integer', 0], ['integer', 1]],
  write: [['integer', -1], ['integer', buffer.id], ['integer', 0], ['integer', 1]],
  writev: [['integer', -1], ['int32', threes], ['integer', 0]],
  openFile: [['string', '/nowhere/a']],
  fileStatus: [['integer', -1], ['doubles', figures]],
  readFile: [['integer', -1], ['bytes', bytes], ['integer', 0], ['integer', 1], ['position', 0]],
  sendfile: [['integer', -1], ['integer', -1], ['position', 0], ['position', 1]],
  readBatch: [['integer', buffer.id], ['int32', fours], ['integer', 2]],
  writeBatch: [['integer', buffer.id], ['int32', fours], ['integer', 2]],
  recvBatch: [['integer', buffer.id], ['int32', fours], ['integer', 2]],
  sendBatch: [['integer', buffer.id], ['int32', fours], ['integer', 2]],
  shutdownWrite: [['integer', -1]],
  poll: [['int32', threes], ['integer', 2], ['timeout', 0]],
  wake: [['integer', -1], ['integer', 1]],
  clearWakeup: [['integer', -1]],
} // biome-ignore format: a table

const NAMES = Object.keys(SIGNATURES) as Array<keyof typeof SIGNATURES>
const WRONG_TYPES: Record<Kind, unknown[]> = {
  integer: NOT_NUMBERS,
  timeout: NOT_NUMBERS,
  position: NOT_NUMBERS,
  string: NOT_STRINGS,
  int32: [...NOT_ARRAYS, new Uint8Array(32), new Float64Array(8)],
  bytes: [...NOT_ARRAYS, new Int32Array(16), new Int8Array(16), new Float64Array(8)],
  doubles: [...NOT_ARRAYS, new Int32Array(16), new Uint8Array(32)],
  pieces: [undefined, null, 1, 'text', {}, bytes, [1], [bytes, 'text'], [new Int32Array(4)]],
}
const WRONG_VALUES: Partial<Record<Kind, unknown[]>> = {
  integer: NOT_INTEGERS,
  timeout: [Number.NaN],
  position: [Number.NaN, -1, 1.5, 2 ** 54, Number.POSITIVE_INFINITY],
}

describe.each(NAMES)('%s', (name) => {
  const signature = SIGNATURES[name]

  it('throws a TypeError for a value of another type', () => {
    signature.forEach(([kind], index) => {
      for (const wrong of WRONG_TYPES[kind]) {
        const isAbsentGeneration = name === 'close' && index === 1
        const values = signature.map(([, value], at) => (at === index ? wrong : value))
        if (!isAbsentGeneration) expect(() => verb(name)(...values), `${index} ${String(wrong)}`).toThrow(TypeError)
      }
    })
  })

  it('throws a RangeError for a number that is no such integer', () => {
    signature.forEach(([kind], index) => {
      for (const wrong of WRONG_VALUES[kind] ?? []) {
        const values = signature.map(([, value], at) => (at === index ? wrong : value))
        expect(() => verb(name)(...values), `${index} ${String(wrong)}`).toThrow(RangeError)
      }
    })
  })

  it('throws when arguments are missing', () => {
    expect(() => verb(name)()).toThrow(TypeError)
    for (let count = 1; count < signature.length; count++) {
      expect(() => verb(name)(...signature.slice(0, count).map(([, value]) => value))).toThrow(TypeError)
    }
  })
})

describe('bounds', () => {
  const windows: Array<[number, number]> = [
    [65, 0],
    [64, 1],
    [0, 65],
    [63, 2],
    [-1, 1],
    [0, -1],
    [2 ** 31 - 1, 2 ** 31 - 1],
  ]

  it.each(['recv', 'peek', 'send', 'read', 'write'] as const)('of %s are those of the buffer', (name) => {
    const [fd, peer] = openPair()
    for (const [offset, length] of windows)
      expect(() => kernel[name](fd, buffer.id, offset, length)).toThrow(RangeError)
    for (const id of [0, -1, 999, 2 ** 31 - 1, -(2 ** 31)]) expect(() => kernel[name](fd, id, 0, 0)).toThrow(/bufferId/)
    expect(recvText(peer)).toBe('EAGAIN')
    closeAll(fd, peer)
  })

  it('of sendBytes are those of the view, not of its memory', () => {
    const [fd, peer] = openPair()
    const view = new Uint8Array(new ArrayBuffer(128), 32, 64)
    view.fill(65)
    for (const [offset, length] of windows) expect(() => kernel.sendBytes(fd, view, offset, length)).toThrow(RangeError)
    expect(kernel.sendBytes(fd, view, 60, 4)).toBe(4)
    expect(kernel.sendBytes(fd, new Uint8Array(0), 0, 0)).toBe(0)
    expect(recvText(peer)).toBe('AAAA')
    closeAll(fd, peer)
  })

  it('of sendPieces are those of the pieces, of which 64 go at once', () => {
    const [fd, peer] = openPair()
    const pieces = Array.from({ length: 100 }, (_, index) => Buffer.from([65 + (index % 26), 97]))
    expect(() => kernel.sendPieces(fd, pieces, 0, 3)).toThrow(RangeError)
    expect(() => kernel.sendPieces(fd, pieces, -1, 0)).toThrow(RangeError)
    expect(kernel.sendPieces(fd, pieces, 0, 1)).toBe(127)
    expect(recvText(peer)).toBe(Buffer.concat(pieces.slice(0, 64)).toString().slice(1))
    expect(kernel.sendPieces(fd, pieces, 98, 0)).toBe(4)
    expect(recvText(peer)).toBe('UaVa')
    expect(kernel.sendPieces(fd, [new Uint8Array(0), bytes.subarray(0, 0)], 0, 0)).toBe(0)
    expect(kernel.sendPieces(fd, pieces, 100, 0)).toBe(0)
    closeAll(fd, peer)
  })

  it('of writev are those of each buffer, and the count of the array', () => {
    const [fd, peer] = openPair()
    for (const [offset, length] of windows) {
      const segments = new Int32Array([buffer.id, 0, 1, buffer.id, offset, length])
      expect(() => kernel.writev(fd, segments, 2)).toThrow(RangeError)
    }
    expect(() => kernel.writev(fd, new Int32Array([999, 0, 1]), 1)).toThrow(RangeError)
    expect(() => kernel.writev(fd, new Int32Array(5), 2)).toThrow(/count/)
    expect(() => kernel.writev(fd, new Int32Array(3075), 1025)).toThrow(/count/)
    expect(() => kernel.writev(fd, new Int32Array(3), -1)).toThrow(/count/)
    expect(recvText(peer)).toBe('EAGAIN')
    closeAll(fd, peer)
  })

  it.each(['readBatch', 'writeBatch', 'recvBatch', 'sendBatch'] as const)(
    'of %s are checked before a byte moves',
    (name) => {
      const [fd, peer] = openPair()
      for (const [offset, length] of windows) {
        const operations = new Int32Array([fd, 0, 1, 7, fd, offset, length, 7])
        expect(() => kernel[name](buffer.id, operations, 2)).toThrow(RangeError)
        expect([operations[3], operations[7]]).toEqual([7, 7])
      }
      expect(() => kernel[name](999, new Int32Array(4), 1)).toThrow(/bufferId/)
      expect(() => kernel[name](buffer.id, new Int32Array(7), 2)).toThrow(/count/)
      expect(kernel[name](buffer.id, new Int32Array(0), 0)).toBe(0)
      expect(recvText(peer)).toBe('EAGAIN')
      closeAll(fd, peer)
    },
  )

  it('of files are those of the array', () => {
    for (const [offset, length] of windows) {
      expect(() => readFile(-1, bytes, offset, length, 0)).toThrow(RangeError)
    }
    expect(() => fileStatus(-1, new Float64Array(2))).toThrow(/figures/)
  })

  it('of poll are those of the array', () => {
    expect(() => kernel.poll(new Int32Array(5), 2, 0)).toThrow(/count/)
    expect(kernel.poll(new Int32Array(0), 0, 0)).toBe(0)
  })

  it('of a pair are two integers', () => {
    expect(() => kernel.pipe(new Int32Array(1))).toThrow(/pair/)
    expect(() => kernel.socketPair(new Int32Array(0))).toThrow(/pair/)
  })

  it('of ports, families, options, generations and lengths are told by name', () => {
    expect(() => kernel.bind(-1, 4, '127.0.0.1', 65536)).toThrow(/port/)
    expect(() => kernel.connect(-1, 4, '127.0.0.1', -1)).toThrow(/port/)
    expect(() => kernel.bind(-1, 5 as 4, '127.0.0.1', 0)).toThrow(/family/)
    expect(() => kernel.socket(0 as 4)).toThrow(/family/)
    expect(() => kernel.getOption(-1, 17 as 16)).toThrow(/option/)
    expect(() => kernel.setOption(-1, 0 as 1, 0)).toThrow(/option/)
    expect(() => kernel.listen(-1, -1)).toThrow(/backlog/)
    expect(() => kernel.close(-1, 0)).toThrow(/generation/)
    expect(() => kernel.close(-1, '1' as unknown as number)).toThrow(TypeError)
    expect(() => kernel.wake(-1, 0)).toThrow(/generation/)
    expect(() => kernel.disown(-1, 0)).toThrow(/generation/)
    expect(() => kernel.setMode(-1, -1)).toThrow(/mode/)
    expect(() => kernel.setPathMode('/nowhere/a', 0o10000)).toThrow(/mode/)
    expect(() => kernel.allocate(0)).toThrow(/length/)
    expect(() => kernel.allocate(2 ** 30 + 1)).toThrow(/length/)
  })
})

/** They are told by generation what they mean, whoever has it. */
const BY_GENERATION: readonly string[] = ['wake', 'claim', 'withdraw', 'duplicate']

/** They look at any file that this process has open. */
const OF_ANY_FILE: readonly string[] = ['fileStatus', 'readFile']
const OF_OWN = NAMES.filter((name) => SIGNATURES[name][0]?.[1] === -1 && !OF_ANY_FILE.includes(name))

describe('a descriptor that is nobody’s', () => {
  it.each(OF_OWN)('is out of reach of %s', (name) => {
    for (const fd of [-1, 0, 1, 2, 100_000, 2 ** 31 - 1, -(2 ** 31)]) {
      if ((name === 'adopt' || name === 'wake') && fd >= 0) continue
      const values = SIGNATURES[name].map(([, value], index) => (index === 0 ? fd : value))
      expect(answer(verb(name)(...values) as number)).toBe(BY_GENERATION.includes(name) ? 'ESTALE' : 'EBADF')
    }
  })
})

it('a typed array whose memory was transferred away is empty', () => {
  const [fd, peer] = openPair()
  const gone = new Uint8Array(16)
  const goneIntegers = new Int32Array(16)
  structuredClone([gone.buffer, goneIntegers.buffer], { transfer: [gone.buffer, goneIntegers.buffer] })
  expect(() => kernel.sendBytes(fd, gone, 0, 16)).toThrow(RangeError)
  expect(kernel.sendBytes(fd, gone, 0, 0)).toBe(0)
  expect(() => kernel.recvBatch(buffer.id, goneIntegers, 1)).toThrow(RangeError)
  expect(() => kernel.poll(goneIntegers, 1, 0)).toThrow(RangeError)
  expect(() => kernel.pipe(goneIntegers)).toThrow(RangeError)
  closeAll(fd, peer)
})
