/** Everything that libevent's listener.h and http.h declare is on the page. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { describeWhen, findHeader } from '../support/peers.ts'
import { readText } from '../support/source-tree.ts'

const header = findHeader('event2/listener.h')

describeWhen(header !== null, 'docs/from-libevent.md', 'needs event2/listener.h', () => {
  it('names every function, callback and flag of the listener', () => {
    const page = readText('docs/from-libevent.md')
    const declared = readFileSync(header as string, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
    const names = new Set(declared.match(/\b(?:evconnlistener_[a-z_]+|LEV_OPT_[A-Z0-9_]+)\b/g))
    expect(names.size).toBeGreaterThan(15)
    expect([...names].filter((name) => !new RegExp(`\\b${name}\\b`).test(page))).toEqual([])
  })
})

const http = findHeader('event2/http.h')

describeWhen(http !== null, 'docs/from-libevent.md beside http.h', 'needs event2/http.h', () => {
  it('names every function and flag of the HTTP server and its client', () => {
    const page = readText('docs/from-libevent.md')
    const declared = readFileSync(http as string, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
    const names = new Set(declared.match(/\b(?:evhttp_[a-z_0-9]+|EVHTTP_[A-Z_0-9]+)\b/g))
    expect(names.size).toBeGreaterThan(80)
    expect([...names].filter((name) => !new RegExp(`\\b${name}\\b`).test(page))).toEqual([])
  })
})
