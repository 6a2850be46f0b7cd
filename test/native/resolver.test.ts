import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Family } from '../../lib/sys/kernel.ts'
import { addonPath, kernel, NativeResolver, Poller } from '../../lib/sys/native.ts'
import type { ResolverAnswer } from '../../lib/sys/resolver.ts'
import { describeWhen, findPeer } from '../support/peers.ts'
import { answer, checkForLeaks, must, waitFor } from './support.ts'

checkForLeaks()

/** Collects until so many answers are there. */
function collect(resolver: NativeResolver, count: number): Map<number, ResolverAnswer> {
  const answers = new Map<number, ResolverAnswer>()
  while (answers.size < count) {
    expect(waitFor(resolver.fd, 1)).toBe(1)
    resolver.collect((query, found) => answers.set(query, found))
  }
  return answers
}

function withResolver(body: (resolver: NativeResolver) => void): void {
  const resolver = new NativeResolver()
  try {
    body(resolver)
  } finally {
    resolver.close()
  }
}

function lookup(resolver: NativeResolver, name: string, family: 4 | 6 | null): ResolverAnswer {
  const query = must(resolver.lookup(name, family))
  return collect(resolver, 1).get(query)!
}

describe('a lookup', () => {
  it('finds localhost, at addresses of loopback', () => {
    withResolver((resolver) => {
      const found = lookup(resolver, 'localhost', null)
      expect(found.error).toBe(null)
      expect(found.addresses.length).toBeGreaterThan(0)
      for (const { address, port } of found.addresses) {
        expect(['127.0.0.1', '::1']).toContain(address)
        expect(port).toBe(0)
      }
    })
  })

  it('keeps to the family that was asked for', () => {
    withResolver((resolver) => {
      const found = lookup(resolver, 'localhost', Family.IPV4)
      expect(found.addresses).toEqual([{ family: Family.IPV4, address: '127.0.0.1', port: 0 }])
    })
  })

  it('takes literals', () => {
    withResolver((resolver) => {
      expect(lookup(resolver, '192.0.2.1', null).addresses).toEqual([{ family: 4, address: '192.0.2.1', port: 0 }])
      expect(lookup(resolver, '2001:db8::1', null).addresses).toEqual([{ family: 6, address: '2001:db8::1', port: 0 }])
    })
  })

  it('of an unknown name ends with an error by name', () => {
    withResolver((resolver) => {
      const found = lookup(resolver, 'no..such..name', null)
      expect(found).toEqual({ addresses: [], error: 'ENOTFOUND' })
    })
  })

  it('refuses what cannot be a name', () => {
    withResolver((resolver) => {
      expect(answer(resolver.lookup('', null))).toBe('EINVAL')
      expect(answer(resolver.lookup('a\0b', null))).toBe('EINVAL')
      expect(answer(resolver.lookup('x'.repeat(2000), null))).toBe('ENAMETOOLONG')
      expect(resolver.lookup('x'.repeat(500), null)).toBeLessThan(0)
      expect(() => resolver.lookup('localhost', 1 as 4)).toThrow(RangeError)
      expect(() => resolver.lookup(1 as unknown as string, null)).toThrow(TypeError)
    })
  })

  it('is answered under its own number, among many', () => {
    withResolver((resolver) => {
      const queries = Array.from({ length: 40 }, (_, index) => must(resolver.lookup(`127.0.0.${index}`, Family.IPV4)))
      expect(new Set(queries).size).toBe(40)
      const answers = collect(resolver, 40)
      queries.forEach((query, index) => {
        expect(answers.get(query)?.addresses[0]?.address).toBe(`127.0.0.${index}`)
      })
    })
  })

  it('is delivered only by collect', () => {
    withResolver((resolver) => {
      expect(resolver.collect(() => expect.unreachable())).toBe(0)
      must(resolver.lookup('127.0.0.1', null))
      waitFor(resolver.fd, 1)
      must(resolver.lookup('127.0.0.2', null))
      expect(waitFor(resolver.fd, 1)).toBe(1)
      expect(collect(resolver, 2).size).toBe(2)
      expect(waitFor(resolver.fd, 1, 0)).toBe(0)
    })
  })

  it('is announced through a poller', () => {
    using poller = new Poller()
    withResolver((resolver) => {
      poller.add(resolver.fd, 1)
      expect(poller.wait(0)).toBe(0)
      must(resolver.lookup('127.0.0.1', null))
      expect(poller.wait(5000)).toBe(1)
      expect(poller.ready[0]).toBe(resolver.fd)
      expect(resolver.collect(() => undefined)).toBe(1)
      expect(poller.wait(0)).toBe(0)
      poller.remove(resolver.fd)
    })
  })
})

describe('a cancelled lookup', () => {
  it('is never delivered, wherever it was', () => {
    withResolver((resolver) => {
      const first = must(resolver.lookup('127.0.0.1', null))
      const second = must(resolver.lookup('127.0.0.2', null))
      resolver.cancel(first)
      resolver.cancel(first)
      resolver.cancel(12345)
      expect([...collect(resolver, 1).keys()]).toEqual([second])
      expect(resolver.collect(() => expect.unreachable())).toBe(0)
    })
  })

  it('is not delivered when another answer’s delivery cancels it', () => {
    withResolver((resolver) => {
      const queries = new Set([1, 2, 3].map((n) => must(resolver.lookup(`127.0.0.${n}`, null))))
      let delivered = 0
      for (let i = 0; i < 5 && delivered === 0; i++) {
        waitFor(resolver.fd, 1, 500)
        resolver.collect((query) => {
          delivered += 1
          queries.delete(query)
          for (const other of queries) resolver.cancel(other)
        })
      }
      waitFor(resolver.fd, 1, 50)
      resolver.collect(() => (delivered += 1))
      expect(delivered).toBe(1)
    })
  })
})

describe('collect', () => {
  it('keeps and announces the rest when a delivery throws', () => {
    withResolver((resolver) => {
      for (let i = 1; i <= 5; i++) must(resolver.lookup(`127.0.0.${i}`, null))
      const seen = new Set<number>()
      let thrown = 0
      while (seen.size < 5) {
        expect(waitFor(resolver.fd, 1)).toBe(1)
        try {
          resolver.collect((query) => {
            seen.add(query)
            throw new Error('thrown by a delivery')
          })
        } catch {
          thrown += 1
        }
      }
      expect(thrown).toBe(5)
    })
  })

  it('lets a delivery look up and close', () => {
    const resolver = new NativeResolver()
    for (let i = 1; i <= 3; i++) must(resolver.lookup(`127.0.0.${i}`, null))
    waitFor(resolver.fd, 1)
    let delivered = 0
    resolver.collect(() => {
      delivered += 1
      must(resolver.lookup('127.0.0.9', null))
      resolver.close()
    })
    expect(delivered).toBe(1)
    expect(answer(resolver.lookup('127.0.0.1', null))).toBe('EBADF')
    expect(resolver.collect(() => expect.unreachable())).toBe(0)
    resolver.cancel(1)
    resolver.close()
  })
})

/** getaddrinfo that takes its time, to close resolvers in the middle of it. */
const SLOW = `
  #define _GNU_SOURCE
  #include <dlfcn.h>
  #include <netdb.h>
  #include <unistd.h>
  int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    next = dlsym(RTLD_NEXT, "getaddrinfo");
    usleep(300000);
    return next(node, service, hints, result);
  }
`

const SCRIPT = `
  const addon = require(process.env.SOCKMUX_TEST_ADDON)
  const { readdirSync, readlinkSync } = require('node:fs')
  const { Worker } = require('node:worker_threads')
  const linkOf = (name) => { try { return readlinkSync('/proc/self/fd/' + name) } catch { return '' } }
  const loops = () => readdirSync('/proc/self/fd').filter((name) => linkOf(name).endsWith('[eventpoll]')).length
  const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
  const leave = () => {
    const resolver = addon.resolverOpen()
    for (let i = 0; i < 6; i++) addon.resolverLookup(resolver.id, '127.0.0.' + i, 0)
    return resolver
  }
  const before = loops()
  const resolvers = [leave(), leave(), leave()]
  sleep(50)
  for (const { id } of resolvers) addon.resolverClose(id)
  // Had close waited, no loop would be left.
  const parked = loops() - before
  const code = 'const addon = require(process.env.SOCKMUX_TEST_ADDON); const resolver = addon.resolverOpen();' +
    'addon.resolverLookup(resolver.id, "127.0.0.1", 0); setInterval(() => {}, 1000);' +
    'require("node:worker_threads").parentPort.postMessage(0)'
  const worker = new Worker(code, { eval: true })
  let attempts = 0
  const reap = () => {
    addon.resolverClose(addon.resolverOpen().id)
    const left = loops() - before
    if (left > 0 && attempts++ < 200) return setTimeout(reap, 50)
    leave()
    sleep(50)
    console.log(JSON.stringify({ parked, left }))
  }
  worker.once('message', () => worker.terminate().then(reap))
`

const compiler = findPeer('cc')
const reason = 'needs Linux and a C compiler'

describeWhen(process.platform === 'linux' && compiler !== null, 'a lookup in flight', reason, () => {
  const directory = mkdtempSync(join(tmpdir(), 'sockmux-'))
  afterAll(() => rmSync(directory, { recursive: true }))

  it('is orphaned by close, by the end of a worker and of the process, and reaped later', () => {
    const source = join(directory, 'slow.c')
    const library = join(directory, 'slow.so')
    writeFileSync(source, SLOW)
    const parameters = ['-shared', '-fPIC', '-o', library, source, '-ldl']
    // What a sanitizer build preloads is not for the compiler.
    const compiled = spawnSync(compiler ?? 'cc', parameters, { env: { PATH: process.env['PATH'] }, timeout: 30_000 })
    expect(String(compiled.stderr)).toBe('')
    const preload = [process.env['LD_PRELOAD'], library].filter((path) => path !== undefined && path !== '').join(':')
    const env = { ...process.env, LD_PRELOAD: preload, SOCKMUX_TEST_ADDON: addonPath() }
    const child = spawnSync(process.execPath, ['-e', SCRIPT], { env, timeout: 15_000, encoding: 'utf8' })
    expect([child.status, child.stderr]).toEqual([0, ''])
    const result = JSON.parse(child.stdout) as { parked: number; left: number }
    expect(result.parked).toBeGreaterThan(0)
    expect(result.left).toBe(0)
  })
})

it('a resolver that is dropped is closed when it is collected', async () => {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('run with --expose-gc')
  const fds = Array.from({ length: 5 }, () => new NativeResolver().fd)
  expect(new Set(fds).size).toBe(5)
  for (let i = 0; i < 5; i++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  // A closed descriptor is an error to poll, unless its number is in use again.
  expect(fds.some((fd) => kernel.poll(new Int32Array([fd, 1, 0]), 1, 0) !== 0)).toBe(true)
})
