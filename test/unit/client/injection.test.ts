import { describe, expect, it } from 'vitest'
import { transferSettings } from '../../../lib/client/transfer-settings.ts'
import { Form, HstsStore, request, Transfer, type TransferOptions } from '../../../lib/index.ts'

const URL_TEXT = 'http://x.test/'
const INJECTED = 'X-Injected: 1'
const ENDS = ['\r\n', '\n', '\r', '\0', '\r\n ', '\u010d\u010a']

/** Where text of the user's gets into a request; what each is made of. */
const places: Readonly<Record<string, (text: string) => Partial<TransferOptions>>> = {
  url: (text) => ({ url: `http://x.test/${text}` }),
  'url, its query': (text) => ({ url: `http://x.test/?${text}` }),
  'url, its host': (text) => ({ url: `http://x.test${text}/` }),
  'url, its name': (text) => ({ url: `http://me${text}@x.test/` }),
  'url as it is': (text) => ({ url: `http://x.test/${text}`, pathAsIs: true }),
  method: (text) => ({ method: `GET${text}` }),
  requestTarget: (text) => ({ requestTarget: `/a${text}` }),
  'headers, a value': (text) => ({ headers: { a: `b${text}` } }),
  'headers, a value of several': (text) => ({ headers: { a: ['b', `c${text}`] } }),
  'headers, a name': (text) => ({ headers: { [`a${text}`]: 'b' } }),
  'headers, a pair': (text) => ({ headers: [['a', `b${text}`]] }),
  userAgent: (text) => ({ userAgent: `agent${text}` }),
  referer: (text) => ({ referer: `http://y.test/${text}` }),
  cookie: (text) => ({ cookie: `a=b${text}` }),
  range: (text) => ({ range: `0-5${text}` }),
  acceptEncoding: (text) => ({ acceptEncoding: `gzip${text}` }),
  username: (text) => ({ username: `me${text}`, password: 'p' }),
  password: (text) => ({ username: 'me', password: `p${text}` }),
  bearerToken: (text) => ({ bearerToken: `abc${text}` }),
  netrcText: (text) => ({ netrc: 'optional', netrcText: `machine x.test login "me${text}" password p` }),
  proxy: (text) => ({ proxy: `http://me:p${text}@p.test:1` }),
  proxyHeaders: (text) => ({ proxy: 'http://p.test:1', proxyHeaders: { a: `b${text}` } }),
  connectTo: (text) => ({ connectTo: [`x.test:80:y.test${text}:80`] }),
  protocols: (text) => ({ url: 'ws://x.test/', protocols: [`chat${text}`] }),
  'form, a content type': (text) => ({ form: new Form().add('a', { data: 'b', contentType: `text/plain${text}` }) }),
  'form, a field': (text) => ({ form: new Form().add('a', { data: 'b', headers: { c: `d${text}` } }) }),
}

describe.each(Object.entries(places))('%s', (_name, optionsWith) => {
  it.each(ENDS)('puts no line of its own into a request behind %j', (end) => {
    const text = `${end}${INJECTED}`
    let head: string
    try {
      head = transferSettings({ url: URL_TEXT, ...optionsWith(text) }).plan.head
    } catch (error) {
      expect(error).toSatisfy((thrown) => thrown instanceof TypeError || thrown instanceof RangeError)
      return
    }
    expect(head).not.toMatch(/[\r\n\0]\s*X-Injected/)
    for (const line of head.split('\r\n')) expect(line).not.toMatch(/[\r\n\0]/)
    expect(head.endsWith('\r\n\r\n')).toBe(true)
    expect(head.indexOf('\r\n\r\n')).toBe(head.length - 4)
  })
})

it('names of a form and of its files stay within their quotes', () => {
  for (const end of ENDS) {
    const text = `a"${end}${INJECTED}`
    const form = new Form().add(text, { data: 'x', filename: text })
    const body = transferSettings({ url: URL_TEXT, form }).plan.body
    const bytes = typeof body === 'function' ? body(10_000) : null
    expect(Buffer.from(bytes as Uint8Array).toString('latin1')).not.toMatch(/[\r\n]\s*X-Injected/)
  }
})

it('a wrong option is refused before anything is opened, by request as well', async () => {
  await expect(async () => request(URL_TEXT, { headers: { a: 'b\r\nc: d' } })).rejects.toThrow(TypeError)
  expect(() => new HstsStore().add({ host: 'x.test\n.y.test "unlimited"' })).toThrow(TypeError)
  expect(() => new Transfer({ url: URL_TEXT, headers: { a: 'b\r\nc: d' } })).toThrow("headers['a']")
})
