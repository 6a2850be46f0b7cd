import { expect } from 'vitest'
import type { TransferOptions } from '../../lib/index.ts'
import { PASSWORD, TOKEN, USERNAME } from '../sim/dialogue.ts'
import { originBytes } from '../sim/origin.ts'
import { elsewhere, lead, shown, withOther } from './dialogues.ts'
import { scenario } from './drivers.ts'
import { type Fetch, fetchOne } from './fetches.ts'

const KNOWN = { username: USERNAME, password: PASSWORD }

function statuses(fetch: Fetch): number[] {
  return fetch.heads.map(({ status }) => status)
}

scenario('proves who asks at once by Basic and by Bearer', async (bench) => {
  const multi = bench.multi()
  const list: TransferOptions[] = [
    { url: bench.url('/guarded/basic'), ...KNOWN },
    { url: bench.url('/guarded/basic').replace('://', `://${USERNAME}:${encodeURIComponent(PASSWORD)}@`) },
    { url: bench.url('/guarded/basic'), netrc: 'optional', netrcText: `default login Mufasa password "${PASSWORD}"` },
    { url: bench.url('/guarded/bearer'), bearerToken: TOKEN },
  ]
  for (const options of list) {
    const fetch = await fetchOne(bench, multi, options)
    expect(statuses(fetch)).toEqual([200])
    expect(fetch.transfer.info.authUsed).toBe(options.bearerToken === undefined ? 'basic' : 'bearer')
  }
  expect((await bench.look()).connections).toBe(1)
})

scenario('answers challenges of Digest of every kind, on the same connection', async (bench) => {
  const multi = bench.multi()
  for (const kind of ['digest-md5', 'digest-sha256', 'digest-sess', 'digest-old']) {
    const fetch = await fetchOne(bench, multi, {
      url: bench.url(`/guarded/${kind}?q="1"`),
      httpAuth: 'digest',
      ...KNOWN,
    })
    expect(statuses(fetch), kind).toEqual([401, 200])
    expect(fetch.transfer.info.authUsed).toBe('digest')
    expect(fetch.transfer.info.redirectCount).toBe(0)
    expect(shown(fetch).method).toBe('GET')
  }
  expect((await bench.look()).connections).toBe(1)
})

scenario('takes the strongest scheme that is offered and wanted', async (bench) => {
  const multi = bench.multi()
  const any = await fetchOne(bench, multi, { url: bench.url('/guarded/any'), httpAuth: 'any', ...KNOWN })
  expect(statuses(any)).toEqual([401, 200])
  expect(any.transfer.info.authUsed).toBe('digest')
  const basic = await fetchOne(bench, multi, { url: bench.url('/guarded/basic'), httpAuth: 'any', ...KNOWN })
  expect(statuses(basic)).toEqual([401, 200])
  expect(basic.transfer.info.authUsed).toBe('basic')
  const list: TransferOptions = { url: bench.url('/guarded/bearer'), httpAuth: ['basic', 'bearer'], bearerToken: TOKEN }
  expect(statuses(await fetchOne(bench, multi, { ...list, ...KNOWN }))).toEqual([401, 200])
  const open = await fetchOne(bench, multi, { url: bench.url('/show'), httpAuth: 'any', ...KNOWN })
  expect(shown(open).headers['authorization']).toBeUndefined()
  expect(open.transfer.info.authUsed).toBe('')
})

scenario('ends with the 401 and its body when the proof is refused or none can be given', async (bench) => {
  const multi = bench.multi()
  const wrong = { username: USERNAME, password: 'wrong' }
  const list: [options: TransferOptions, expected: number[]][] = [
    [{ url: bench.url('/guarded/basic'), ...wrong }, [401]],
    [{ url: bench.url('/guarded/digest-md5'), httpAuth: 'digest', ...wrong }, [401, 401]],
    [{ url: bench.url('/guarded/any'), httpAuth: 'any', ...wrong }, [401, 401]],
    [{ url: bench.url('/guarded/digest-md5'), httpAuth: ['basic', 'bearer'], ...KNOWN }, [401]],
    [{ url: bench.url('/guarded/basic') }, [401]],
  ]
  for (const [options, expected] of list) {
    const fetch = await fetchOne(bench, multi, options)
    expect(fetch.outcome).toBe('OK')
    expect(statuses(fetch)).toEqual(expected)
    expect(fetch.body.toString()).toBe('who asks?')
  }
})

scenario('answers a nonce that went stale with the new one, once', async (bench) => {
  const options: TransferOptions = { url: bench.url('/guarded/digest-stale'), httpAuth: 'digest' }
  const multi = bench.multi()
  expect(statuses(await fetchOne(bench, multi, { ...options, ...KNOWN }))).toEqual([401, 401, 200])
  const wrong = await fetchOne(bench, multi, { ...options, username: USERNAME, password: 'wrong' })
  expect(statuses(wrong)).toEqual([401, 401, 401])
})

scenario('says why a challenge cannot be answered', async (bench) => {
  const texts: string[] = []
  const fetch = await fetchOne(bench, bench.multi(), {
    url: bench.url('/guarded/digest-int'),
    httpAuth: 'digest',
    ...KNOWN,
    onDebug: (kind, content) => {
      if (kind === 'text') texts.push(String(content))
    },
  })
  expect(statuses(fetch)).toEqual([401])
  expect(texts.join('\n')).toContain("'auth-int' is not supported")
})

scenario('sends a body again behind a challenge, small, large, and from a callback', async (bench) => {
  const multi = bench.multi()
  const options: TransferOptions = { url: bench.url('/guarded/digest-sha256'), httpAuth: 'digest', ...KNOWN }
  expect(shown(await fetchOne(bench, multi, { ...options, body: 'small', method: 'PUT' })).body).toBe('small')
  const large = Buffer.from(originBytes('large', 100_000))
    .toString('latin1')
    .replace(/[^a-z]/g, '-')
  expect(shown(await fetchOne(bench, multi, { ...options, body: large })).body).toBe(large)
  let left: string | null = 'called'
  const body = (): string | null => {
    const piece = left
    left = null
    return piece
  }
  const rewindBody = (): void => {
    left = 'called'
  }
  expect(shown(await fetchOne(bench, multi, { ...options, body, rewindBody })).body).toBe('called')
  left = 'called'
  const stuck = await fetchOne(bench, multi, { ...options, body, freshConnect: true })
  expect(stuck.outcome).toBe('SEND_FAIL_REWIND')
})

scenario('counts on with the same nonce behind a redirect, and begins anew elsewhere', async (bench) => {
  const multi = bench.multi()
  const options: TransferOptions = { url: '', httpAuth: 'digest', ...KNOWN }
  const twice = bench.url(lead('/guarded/digest-md5'))
  const fetch = await fetchOne(bench, multi, { ...options, url: twice, followRedirects: true })
  expect(statuses(fetch)).toEqual([302, 401, 200])
  const away = withOther(bench, { ...options, url: bench.url(lead(elsewhere(bench, '/guarded/digest-md5'))) })
  expect(statuses(await fetchOne(bench, multi, away))).toEqual([302, 401])
  expect(statuses(await fetchOne(bench, multi, { ...away, unrestrictedAuth: true }))).toEqual([302, 401, 200])
})

scenario('looks other hosts up in .netrc by name, and never uses its default there', async (bench) => {
  const multi = bench.multi()
  const netrc = (text: string): TransferOptions =>
    withOther(bench, { url: bench.url(lead(elsewhere(bench, '/show'))), netrc: 'optional', netrcText: text })
  const named = await fetchOne(bench, multi, netrc('machine other.example login a password b'))
  expect(shown(named).headers['authorization']).toBe(`Basic ${Buffer.from('a:b').toString('base64')}`)
  const fallback = await fetchOne(bench, multi, netrc('default login a password b'))
  expect(shown(fallback).headers['authorization']).toBeUndefined()
})

scenario('leaves an Authorization of the user alone', async (bench) => {
  const multi = bench.multi()
  const headers = { Authorization: 'Mine abc' }
  const own = await fetchOne(bench, multi, { url: bench.url('/show'), headers, ...KNOWN })
  expect(shown(own).headers['authorization']).toBe('Mine abc')
  const refused = await fetchOne(bench, multi, { url: bench.url('/guarded/any'), headers, httpAuth: 'any', ...KNOWN })
  expect(statuses(refused)).toEqual([401])
})

scenario('sends very large credentials', async (bench) => {
  const password = 'p'.repeat(90_000)
  const fetch = await fetchOne(bench, bench.multi(), { url: bench.url('/show'), username: 'u', password })
  const sent = shown(fetch).headers['authorization']?.slice('Basic '.length) ?? ''
  expect(Buffer.from(sent, 'base64').length).toBe(90_002)
})

scenario('sends what identifies the client, and the target as it is given', async (bench) => {
  const multi = bench.multi()
  const fetch = await fetchOne(bench, multi, {
    url: bench.url('/x'),
    requestTarget: '/show?a=/../b',
    userAgent: 'probe/1',
    referer: 'http://from/',
    cookie: 'a=1; b=2',
  })
  const request = shown(fetch)
  expect(request.target).toBe('/show?a=/../b')
  expect(request.headers).toMatchObject({ 'user-agent': 'probe/1', referer: 'http://from/', cookie: 'a=1; b=2' })
  const given = { 'User-Agent': 'mine', Referer: null, Cookie: 'c=3' }
  const other = shown(
    await fetchOne(bench, multi, {
      url: bench.url('/show'),
      userAgent: 'x',
      referer: 'y',
      cookie: 'z=1',
      headers: given,
    }),
  )
  expect(other.headers).toMatchObject({ 'user-agent': 'mine', cookie: 'c=3' })
  expect(other.headers['referer']).toBeUndefined()
  const dotted = await fetchOne(bench, multi, { url: bench.url('/a/../show?x=é#y'), pathAsIs: true })
  const { requests } = await bench.look()
  expect(requests.at(-1)?.target).toBe('/a/../show?x=%C3%A9')
  expect(dotted.transfer.info.effectiveUrl).toContain('/a/../show?x=%C3%A9#y')
  const bare = await fetchOne(bench, multi, { url: `${bench.host}/show`, defaultProtocol: 'http' })
  expect(shown(bare).target).toBe('/show')
})
