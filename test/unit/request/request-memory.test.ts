import { describe, expect, it } from 'vitest'
import { Multi } from '../../../lib/index.ts'
import { recall, remember } from '../../../lib/request/request-memory.ts'
import { prepareRequest, type RequestOptions } from '../../../lib/request/request-options.ts'

let count = 0

/** What is recalled of one call for another to the same URL: true when nothing has to be prepared anew. */
function isKnown(before: RequestOptions, after: RequestOptions): boolean {
  const url = `http://127.0.0.1/${count++}`
  const prepared = prepareRequest(url, before)
  remember(url, before, prepared)
  const recalled = recall(url, after)
  expect(recalled === null || recalled === prepared).toBe(true)
  return recalled !== null
}

describe('what was asked before', () => {
  it('is known again by its values, whichever object has them', () => {
    expect(isKnown({}, {})).toBe(true)
    expect(isKnown({ timeoutMs: 5, method: 'PUT' }, { timeoutMs: 5, method: 'PUT' })).toBe(true)
    expect(isKnown({ headers: { a: '1', signal: 'x' } }, { headers: { a: '1', signal: 'x' } })).toBe(true)
    expect(isKnown({}, { headers: {} })).toBe(true)
  })

  it.each<[string, RequestOptions, RequestOptions]>([
    ['a value', { timeoutMs: 5 }, { timeoutMs: 6 }],
    ['an option more', {}, { method: 'PUT' }],
    ['an option less', { method: 'PUT' }, {}],
    ['a field', { headers: { a: '1' } }, { headers: { a: '2' } }],
    ['the name of a field', { headers: { a: '1' } }, { headers: { b: '1' } }],
    ['a field named like an option of the call', {}, { headers: { signal: 'x' } }],
    ['a field more', { headers: {} }, { headers: { multi: 'x' } }],
    ['the order of fields', { headers: { a: '1', b: '2' } }, { headers: { b: '2', a: '1' } }],
    ['fields out of an iterable', {}, { headers: new Map([['a', '1']]) }],
    ['fields out of an array', {}, { headers: [['a', '1']] }],
    ['fields out of an object that is iterable', {}, { headers: { *[Symbol.iterator]() {} } as never }],
  ])('is not known when %s differs', (_what, before, after) => {
    expect(isKnown(before, after)).toBe(false)
  })

  it('is compared as it was, though the object was changed since', () => {
    const options = { headers: { a: '1' } }
    const url = 'http://127.0.0.1/changed'
    remember(url, options, prepareRequest(url, options))
    options.headers.a = '2'
    expect(recall(url, options)).toBe(null)
    options.headers.a = '1'
    expect(recall(url, options)).not.toBe(null)
  })

  it('does not count who runs and who aborts it', () => {
    using multi = new Multi()
    const { signal } = new AbortController()
    expect(isKnown({ multi }, { signal })).toBe(true)
  })

  it.each<[string, RequestOptions]>([
    ['bytes', { body: new Uint8Array(1) }],
    ['text to send', { body: 'text' }],
    ['JSON', { json: 1 }],
    ['a callback', { onDebug: () => {} }],
    ['files', { netrcFile: '/nowhere', netrc: 'optional' }],
    ['a field of several values', { headers: { a: ['1', '2'] } }],
    ['an iterable of fields', { headers: new Map([['a', '1']]) }],
    ['an object that is one', { headers: { *[Symbol.iterator]() {} } as never }],
  ])('is not kept when it has %s', (_what, options) => {
    expect(isKnown(options, options)).toBe(false)
  })

  it('is kept of a limited number of URLs', () => {
    const prepared = prepareRequest('http://127.0.0.1/', {})
    for (let i = 0; i < 1000; i++) remember(`http://127.0.0.1/many/${i}`, {}, prepared)
    let known = 0
    for (let i = 0; i < 1000; i++) if (recall(`http://127.0.0.1/many/${i}`, {}) !== null) known++
    expect(known).toBeGreaterThan(0)
    expect(known).toBeLessThanOrEqual(256)
  })
})
