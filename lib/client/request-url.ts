/**
 * The URL of a transfer as its options give it: with a protocol that was left out, and with the path as it was written
 * where the dots in it mean something to the server. Throws an Error that says what is wrong.
 */
import { type ParsedUrl, parseUrl } from '../wire/url.ts'
import type { HttpOptions } from './http-options.ts'

const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i
/** Behind 'scheme://authority': path and query, without the fragment. */
const PATH = /^[^/]*:\/\/[^/?#\\]*([^?#]*)(\?[^#]*)?/

export function requestUrl(text: string, options: Pick<HttpOptions, 'defaultProtocol' | 'pathAsIs'>): ParsedUrl {
  const { defaultProtocol } = options
  const whole = defaultProtocol === undefined || SCHEME.test(text) ? text : `${defaultProtocol}://${text}`
  const url = parseUrl(whole)
  if (!options.pathAsIs) return url
  const [, path = '', query = ''] = PATH.exec(whole) ?? []
  const target = encode(`${path === '' ? '/' : path}${query}`)
  const beforePath = url.href.slice(0, url.href.indexOf('/', url.href.indexOf('//') + 2))
  return { ...url, target, href: `${beforePath}${target}${url.fragment === '' ? '' : `#${url.fragment}`}` }
}

/** What a request line cannot hold, in UTF-8. */
function encode(text: string): string {
  return text.replace(/[^!-~]+/g, (odd) => Buffer.from(odd).toString('hex').toUpperCase().replace(/../g, '%$&'))
}
