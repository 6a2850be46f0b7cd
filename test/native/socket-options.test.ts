import { constants } from 'node:os'
import { describe, expect, it } from 'vitest'
import { ERRNO_NAMES, Family, SocketOption } from '../../lib/sys/kernel.ts'
import { kernel } from '../../lib/sys/native.ts'
import { answer, checkForLeaks, closeAll, connectTcp, listen, must, openPair } from './support.ts'

checkForLeaks()

/** Value to set and what reading it gives; null where the platform decides the value itself. */
const WRITABLE: Array<[keyof typeof SocketOption, number, ((read: number) => boolean) | null]> = [
  ['REUSE_ADDRESS', 1, (read) => read !== 0],
  ['REUSE_PORT', 1, (read) => read !== 0],
  ['NO_DELAY', 1, (read) => read !== 0],
  ['KEEP_ALIVE', 1, (read) => read !== 0],
  ['KEEP_ALIVE_IDLE', 77, (read) => read === 77],
  ['KEEP_ALIVE_INTERVAL', 33, (read) => read === 33],
  ['KEEP_ALIVE_COUNT', 5, (read) => read === 5],
  ['LINGER', 7, (read) => read === 7],
  ['LINGER', 0, (read) => read === 0],
  ['LINGER', -1, (read) => read === -1],
  ['SEND_BUFFER', 65536, (read) => read >= 65536],
  ['RECEIVE_BUFFER', 65536, (read) => read >= 65536],
  ['DEFER_ACCEPT', 1, (read) => read > 0],
  ['FAST_OPEN', 5, null],
  ['CORK', 1, (read) => read !== 0],
]

describe('a socket option', () => {
  it.each(WRITABLE)('%s set to %i reads back', (name, value, isRight) => {
    const fd = must(kernel.socket(Family.IPV4))
    const result = answer(kernel.setOption(fd, SocketOption[name], value))
    // A platform without an option says so, for reading and writing alike.
    if (result === 'ENOPROTOOPT') expect(answer(kernel.getOption(fd, SocketOption[name]))).toBe('ENOPROTOOPT')
    else expect(result).toBe(0)
    const read = kernel.getOption(fd, SocketOption[name])
    if (result === 0) expect(isRight === null || isRight(read), `${name} reads ${read}`).toBe(true)
    closeAll(fd)
  })

  it('V6_ONLY belongs to IPv6', () => {
    const fd = kernel.socket(Family.IPV6)
    if (fd < 0) return expect(answer(fd)).toBe('EAFNOSUPPORT')
    must(kernel.setOption(fd, SocketOption.V6_ONLY, 1))
    expect(kernel.getOption(fd, SocketOption.V6_ONLY)).toBe(1)
    must(kernel.setOption(fd, SocketOption.V6_ONLY, 0))
    expect(kernel.getOption(fd, SocketOption.V6_ONLY)).toBe(0)
    closeAll(fd)
  })

  it('ACCEPTING tells a listening socket, and cannot be set', () => {
    const listener = listen()
    const [client, server] = connectTcp()
    expect(kernel.getOption(listener.fd, SocketOption.ACCEPTING)).toBe(1)
    expect(kernel.getOption(client, SocketOption.ACCEPTING)).toBe(0)
    expect(answer(kernel.setOption(client, SocketOption.ACCEPTING, 1))).toBe('ENOPROTOOPT')
    expect(answer(kernel.setOption(client, SocketOption.ERROR, 1))).toBe('ENOPROTOOPT')
    expect(kernel.getOption(client, SocketOption.ERROR)).toBe(0)
    closeAll(client, server, listener.fd)
  })

  it('is known under every name', () => {
    const fd = must(kernel.socket(Family.IPV4))
    for (const option of Object.values(SocketOption)) expect(() => kernel.getOption(fd, option)).not.toThrow()
    closeAll(fd)
  })

  it('is refused by a pipe', () => {
    const [reader, writer] = openPair(kernel.pipe)
    expect(answer(kernel.getOption(reader, SocketOption.ERROR))).toBe('ENOTSOCK')
    expect(answer(kernel.setOption(reader, SocketOption.LINGER, 0))).toBe('ENOTSOCK')
    closeAll(reader, writer)
  })
})

describe('the errno table', () => {
  it('has every name, each with its own number', () => {
    expect(Object.keys(kernel.errno).sort()).toEqual([...ERRNO_NAMES].sort())
    const numbers = Object.values(kernel.errno)
    expect(numbers.every((number) => number > 0)).toBe(true)
    expect(new Set(numbers).size).toBe(numbers.length)
  })

  it('agrees with Node’s', () => {
    for (const name of ERRNO_NAMES) {
      const known: number | undefined = (constants.errno as Record<string, number>)[name]
      if (known !== undefined) expect([name, kernel.errno[name]]).toEqual([name, known])
    }
  })
})
