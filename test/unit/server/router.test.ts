import { describe, expect, it } from 'vitest'
import type { HttpHandler } from '../../../lib/server/http/http-options.ts'
import { Router } from '../../../lib/server/http/router.ts'

const handlers = new Map<HttpHandler, string>()

function named(name: string): HttpHandler {
  const handler: HttpHandler = () => ({ status: 200 })
  handlers.set(handler, name)
  return handler
}

function router(...prefixes: readonly string[]): Router {
  const made = new Router(named('fallback'))
  for (const prefix of prefixes) made.add(prefix, named(prefix))
  return made
}

const found = (routes: Router, target: string): string | undefined => handlers.get(routes.find(target))

describe('Router', () => {
  it('gives a path to the longest prefix that covers it', () => {
    const routes = router('/', '/a', '/a/b', '/a/b/c/d')
    expect(found(routes, '/')).toBe('/')
    expect(found(routes, '/other')).toBe('/')
    expect(found(routes, '/a')).toBe('/a')
    expect(found(routes, '/a/')).toBe('/a')
    expect(found(routes, '/a/b/c')).toBe('/a/b')
    expect(found(routes, '/a/b/c/d/e')).toBe('/a/b/c/d')
  })

  it('takes whole segments: /api does not cover /apiary', () => {
    expect(found(router('/api'), '/apiary')).toBe('fallback')
    expect(found(router('/api/'), '/api')).toBe('/api/')
  })

  it('looks at the path only, whatever stands around it', () => {
    const routes = router('/a')
    expect(found(routes, '/a?x=/b')).toBe('/a')
    expect(found(routes, '/?/a')).toBe('fallback')
    expect(found(routes, 'http://host/a/b?c')).toBe('/a')
    expect(found(routes, 'http://host')).toBe('fallback')
    expect(found(routes, '*')).toBe('fallback')
    expect(found(routes, 'host:443')).toBe('fallback')
  })

  it('can be changed while it is used', () => {
    const routes = router('/a', '/a/b')
    expect(routes.remove('/a/b')).toBe(true)
    expect(routes.remove('/a/b')).toBe(false)
    expect(routes.remove('/x/y')).toBe(false)
    expect(found(routes, '/a/b')).toBe('/a')
    routes.add('/a', named('again'))
    expect(routes.size).toBe(1)
    expect(found(routes, '/a/b')).toBe('again')
    routes.fallback = named('nobody')
    expect(found(routes, '/')).toBe('nobody')
    expect(routes.remove('/a')).toBe(true)
    expect(routes.size).toBe(0)
  })

  it('keeps the inner route when an outer one goes', () => {
    const routes = router('/a', '/a/b')
    routes.remove('/a')
    expect(found(routes, '/a')).toBe('fallback')
    expect(found(routes, '/a/b')).toBe('/a/b')
  })

  it('refuses what is no prefix or no handler, and names it', () => {
    expect(() => new Router().add('a', named('a'))).toThrow(/prefix.*"a"/)
    expect(() => new Router().add('/a?b', named('a'))).toThrow(RangeError)
    expect(() => new Router().add('/a', undefined as unknown as HttpHandler)).toThrow(/handler/)
  })
})
