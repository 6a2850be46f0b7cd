import { expect } from 'vitest'
import { CookieJar } from '../../lib/index.ts'
import { elsewhere, lead, shown, withOther } from './dialogues.ts'
import { scenario } from './drivers.ts'
import { fetchOne } from './fetches.ts'

function set(...cookies: string[]): string {
  return `/set?${new URLSearchParams(cookies.map((cookie): [string, string] => ['cookie', cookie]))}`
}

scenario('learns cookies and sends them with later requests of any transfer that shares the jar', async (bench) => {
  const multi = bench.multi()
  const cookies = new CookieJar()
  const first = await fetchOne(bench, multi, {
    url: bench.url(set('a=1', 'b=2; Path=/show', 'c=3; Max-Age=0')),
    cookies,
  })
  expect(shown(first).headers['cookie']).toBeUndefined()
  expect(cookies.size).toBeGreaterThanOrEqual(2)
  const second = shown(await fetchOne(bench, multi, { url: bench.url('/show'), cookies }))
  expect(second.headers['cookie']).toBe('b=2; a=1')
  const without = shown(await fetchOne(bench, multi, { url: bench.url('/show') }))
  expect(without.headers['cookie']).toBeUndefined()
})

scenario('sends a cookie of a redirect with the request that it leads to', async (bench) => {
  const cookies = new CookieJar({ text: `${bench.address}\tFALSE\t/\tFALSE\t0\tknown\t1\n` })
  const url = bench.url(lead(set('later=2')))
  const fetch = await fetchOne(bench, bench.multi(), { url, cookies, cookie: 'own=3', followRedirects: true })
  expect(shown(fetch).headers['cookie']).toBe('known=1; own=3')
  expect(cookies.get(bench.url('/'))).toBe('known=1; later=2')
})

scenario('sends each host its own cookies only', async (bench) => {
  const multi = bench.multi()
  const cookies = new CookieJar()
  const options = withOther(bench, {
    url: bench.url(set('here=1', 'bad=1; Domain=other.example', 'tld=1; Domain=example')),
    cookies,
  })
  await fetchOne(bench, multi, options)
  await fetchOne(bench, multi, { ...options, url: elsewhere(bench, set('there=1', 'wide=1; Domain=other.example')) })
  const there = await fetchOne(bench, multi, { ...options, url: bench.url(lead(elsewhere(bench, '/show'))) })
  expect(shown(there).headers['cookie']).toBe('there=1; wide=1')
  const here = await fetchOne(bench, multi, { ...options, url: elsewhere(bench, lead(bench.url('/show'))) })
  expect(shown(here).headers['cookie']).toBe('here=1')
})

scenario('asks the jar anew each time that a transfer runs', async (bench) => {
  const multi = bench.multi()
  const cookies = new CookieJar()
  const fetch = await fetchOne(bench, multi, { url: bench.url(set('n=1')), cookies })
  expect(shown(fetch).headers['cookie']).toBeUndefined()
  fetch.transfer.reset()
  fetch.chunks.length = 0
  multi.add(fetch.transfer)
  await bench.drive(multi)
  expect(multi.infoRead()?.code).toBe(0)
  expect(shown(fetch).headers['cookie']).toBe('n=1')
})
