/**
 * Which handler answers a path: the longest prefix wins, as in cprops' services. A prefix ends at a '/' or where the
 * path ends, so '/api' covers '/api', '/api/' and '/api/users', and not '/apiary'. Paths are compared as they were
 * sent, without the query. Routes may come and go at any time; a request keeps the handler that it was given.
 */
import { isFunction, wrongRange, wrongType } from '../../base/options.ts'
import type { HttpHandler } from './http-options.ts'

const SLASH = 47

interface RouteNode {
  handler: HttpHandler | null
  readonly children: Map<string, RouteNode>
}

function newNode(): RouteNode {
  return { handler: null, children: new Map() }
}

export class Router {
  readonly #root = newNode()
  #fallback: HttpHandler
  #count = 0

  /** `fallback` answers what no route covers; default: 404. */
  constructor(fallback: HttpHandler = () => ({ status: 404 })) {
    isFunction('fallback', fallback)
    this.#fallback = fallback
  }

  get size(): number {
    return this.#count
  }

  /** Answers what no route covers, from the next request on. */
  set fallback(handler: HttpHandler) {
    isFunction('fallback', handler)
    this.#fallback = handler
  }

  /** Adds a route, or replaces the handler of that prefix. '/' covers everything. */
  add(prefix: string, handler: HttpHandler): this {
    isFunction('handler', handler)
    let node = this.#root
    for (const segment of segmentsOf(prefix)) {
      let child = node.children.get(segment)
      if (child === undefined) {
        child = newNode()
        node.children.set(segment, child)
      }
      node = child
    }
    if (node.handler === null) this.#count++
    node.handler = handler
    return this
  }

  /** False when there is no such route. */
  remove(prefix: string): boolean {
    return this.#remove(this.#root, segmentsOf(prefix), 0)
  }

  /** The handler of a target as it was sent. */
  find(target: string): HttpHandler {
    const start = pathStart(target)
    const end = pathEnd(target, start)
    let node: RouteNode | undefined = this.#root
    let found = node.handler
    for (let at = start; at < end && node.children.size > 0; ) {
      if (target.charCodeAt(at) !== SLASH) break
      const next = target.indexOf('/', at + 1)
      const segmentEnd: number = next < 0 || next > end ? end : next
      node = node.children.get(target.slice(at + 1, segmentEnd))
      if (node === undefined) break
      found = node.handler ?? found
      at = segmentEnd
    }
    return found ?? this.#fallback
  }

  /** To be given to an HttpServer. */
  readonly handler: HttpHandler = (request) => this.find(request.url)(request)

  #remove(node: RouteNode, segments: readonly string[], at: number): boolean {
    const segment = segments[at]
    if (segment === undefined) {
      if (node.handler === null) return false
      node.handler = null
      this.#count--
      return true
    }
    const child = node.children.get(segment)
    if (child === undefined || !this.#remove(child, segments, at + 1)) return false
    if (child.handler === null && child.children.size === 0) node.children.delete(segment)
    return true
  }
}

function segmentsOf(prefix: string): string[] {
  if (typeof prefix !== 'string') throw wrongType('prefix', 'a string', prefix)
  if (!prefix.startsWith('/') || prefix.includes('?')) throw wrongRange('prefix', "a path that begins with '/'", prefix)
  // A slash at the end says no more than the prefix without it.
  return prefix.replace(/\/$/, '').split('/').slice(1)
}

/** Behind scheme and authority, when the target has them (RFC 9112 §3.2.2). */
function pathStart(target: string): number {
  if (target.charCodeAt(0) === SLASH) return 0
  const scheme = target.indexOf('://')
  if (scheme < 0) return 0
  const path = target.indexOf('/', scheme + 3)
  return path < 0 ? target.length : path
}

function pathEnd(target: string, start: number): number {
  const query = target.indexOf('?', start)
  return query < 0 ? target.length : query
}
