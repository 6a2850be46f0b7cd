import { expect, it } from 'vitest'
import { passedDescriptors } from '../../../lib/server/listening/listen-fds.ts'
import type { ProcessEnvironment } from '../../../lib/sys/environment.ts'
import { Family } from '../../../lib/sys/kernel.ts'
import { RegularFile } from '../../sim/open-file.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'
import { StreamSocket } from '../../sim/stream-socket.ts'

const PID = 4711

function environment(variables: Record<string, string>): ProcessEnvironment & { variables: Record<string, string> } {
  return {
    variables,
    pid: PID,
    get: (name) => variables[name],
    unset: (name) => {
      delete variables[name]
    },
  }
}

/** Descriptors from 3 on that somebody else opened: a listening socket, a bound one, a file. */
function inherit(): Simulation {
  const simulation = simulate(1)
  const { kernel, world, resolver } = simulation
  // Its descriptor is the first one.
  resolver.close()
  const listening = new StreamSocket(world, Family.IPV6)
  kernel.network.bind(listening, Family.IPV6, '::', 8080)
  kernel.network.listen(listening, 1)
  const bound = new StreamSocket(world, Family.UNIX)
  kernel.network.bind(bound, Family.UNIX, '/run/a', 0)
  for (const file of [listening, bound, new RegularFile(new Uint8Array(1))]) kernel.openForeign(file)
  return simulation
}

it('tells name, family and whether it listens, and owns none', () => {
  const { kernel } = inherit()
  const given = environment({ LISTEN_PID: `${PID}`, LISTEN_FDS: '3', LISTEN_FDNAMES: 'web::', OTHER: '1' })
  const first = kernel.table.openList()[0]
  expect(first).toBe(3)
  expect(passedDescriptors(kernel, given, true)).toEqual([
    { name: 'web', fd: 3, family: Family.IPV6, accepting: true },
    { name: 'unknown', fd: 4, family: Family.UNIX, accepting: false },
    { name: 'unknown', fd: 5, family: null, accepting: false },
  ])
  expect([3, 4, 5].map((fd) => kernel.table.ownership(fd))).toEqual(['foreign', 'foreign', 'foreign'])
  expect(given.variables).toEqual({ OTHER: '1' })
  expect(passedDescriptors(kernel, given, true)).toEqual([])
})

it('leaves the environment when it was told so, and finds the same again', () => {
  const { kernel } = inherit()
  const given = environment({ LISTEN_PID: `${PID}`, LISTEN_FDS: '1' })
  const first = passedDescriptors(kernel, given, false)
  expect(first).toEqual([{ name: 'unknown', fd: 3, family: Family.IPV6, accepting: true }])
  kernel.adopt(3)
  expect(passedDescriptors(kernel, given, false)).toEqual(first)
  expect(kernel.table.ownership(3)).toBe('owned')
})

it.each([
  ['nothing was passed', {}],
  ['another process was meant', { LISTEN_PID: `${PID + 1}`, LISTEN_FDS: '1' }],
  ['no count was given', { LISTEN_PID: `${PID}` }],
  ['none were passed', { LISTEN_PID: `${PID}`, LISTEN_FDS: '0' }],
])('is empty when %s', (_, variables) => {
  expect(passedDescriptors(inherit().kernel, environment(variables), true)).toEqual([])
})

it.each(['x', '-1', '1.5', '', '5000'])('refuses LISTEN_FDS=%j', (count) => {
  const given = environment({ LISTEN_PID: `${PID}`, LISTEN_FDS: count })
  expect(() => passedDescriptors(inherit().kernel, given, true)).toThrow(/LISTEN_FDS must be a whole number .* not "/)
})

it('says which descriptor is not there', () => {
  const given = environment({ LISTEN_PID: `${PID}`, LISTEN_FDS: '9' })
  expect(() => passedDescriptors(inherit().kernel, given, true)).toThrow(/fcntl EBADF descriptor \d+/)
})
