import { beforeAll, describe, expect, it } from 'vitest'
import { namespaceProblem, ORIGIN_PORT, SLOW_MS, startInNetwork } from '../support/name-servers.ts'
import { describeUnless, describeWithPeers } from '../support/peers.ts'
import type { Report, Resolved } from './resolving-client.ts'

const CLIENT = 'test/interop/resolving-client.ts'
/** Most of it is for compiling the client on a busy machine. */
const LIMIT_MS = 90_000
const NAMES = [
  'four.test',
  'alias.test',
  'both.test',
  'slow.test',
  'nx.test',
  'servfail.test',
  'silent.test',
  'dead6.test',
  'dead4.test',
  'dead.test',
  'four.test/6',
  'both.test/6',
]

async function run(dnsmasq: string): Promise<Report> {
  const child = startInNetwork(dnsmasq, CLIENT, [String(ORIGIN_PORT), NAMES.join(',')])
  let output = ''
  let errors = ''
  child.stdout?.on('data', (chunk) => {
    output += chunk
  })
  child.stderr?.on('data', (chunk) => {
    errors += chunk
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
  const status = await new Promise((resolve) => child.once('close', resolve))
  clearTimeout(timer)
  if (status !== 0) throw new Error(`the client ended with ${status}: ${errors}`)
  return JSON.parse(output) as Report
}

describeWithPeers(['dnsmasq', 'unshare', 'ip', 'curl'], ([dnsmasq = '']) => {
  describeUnless(namespaceProblem(), 'names that dnsmasq answers', () => {
    let report: Report
    beforeAll(async () => {
      report = await run(dnsmasq)
    }, LIMIT_MS + 5000)

    describe.each(["Node's loop", 'own poll loop'])('through %s', (loop) => {
      const of = (name: string): Resolved => {
        const found = report.loops[loop]?.find((resolved) => resolved.name === name)
        if (found === undefined) throw new Error(`${name} did not end: ${JSON.stringify(report)}`)
        return found
      }

      it('are found, by an alias and in either family', () => {
        expect(of('four.test')).toMatchObject({ code: 'OK', address: '127.0.0.1' })
        expect(of('alias.test')).toMatchObject({ code: 'OK', address: '127.0.0.1' })
        expect(of('both.test').code).toBe('OK')
        expect(of('both.test/6')).toMatchObject({ code: 'OK', address: '::1' })
      })

      it('may be slow, and keep nobody else waiting', () => {
        expect(of('slow.test').code).toBe('OK')
        expect(of('slow.test').nameLookupMs).toBeGreaterThanOrEqual(SLOW_MS * 0.9)
        const order = report.loops[loop]?.map(({ name }) => name) ?? []
        expect(order.indexOf('four.test')).toBeLessThan(order.indexOf('slow.test'))
      })

      it('do not exist, have no address of a family, or cannot be asked for', () => {
        expect(of('nx.test')).toMatchObject({ code: 'COULDNT_RESOLVE_HOST', cause: 'ENOTFOUND' })
        expect(of('four.test/6')).toMatchObject({ code: 'COULDNT_RESOLVE_HOST', cause: 'ENOTFOUND' })
        expect(of('servfail.test')).toMatchObject({ code: 'COULDNT_RESOLVE_HOST', cause: 'EAI_AGAIN' })
      })

      it('get no answer, until the time is over', () => {
        expect(of('silent.test')).toMatchObject({ code: 'OPERATION_TIMEDOUT' })
        expect(of('silent.test').message).toMatch(/^Resolving timed out after/)
      })

      it('lead to a dead address, and to the one that lives', () => {
        expect(of('dead6.test')).toMatchObject({ code: 'OK', address: '127.0.0.1' })
        expect(of('dead4.test')).toMatchObject({ code: 'OK', address: '::1' })
        expect(of('dead.test')).toMatchObject({ code: 'OPERATION_TIMEDOUT' })
        expect(of('dead.test').message).toMatch(/^Connection timed out after/)
      })

      it('end as curl has them end', () => {
        // Where only the other family has an address, curls differ: a name not found, or nothing to connect to.
        const compared = NAMES.filter((name) => name !== 'four.test/6')
        for (const name of compared) expect([name, of(name).number]).toEqual([name, report.curl[name]])
      })
    })
  })
})
