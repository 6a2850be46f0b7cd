import { describe, expect, it } from 'vitest'
import { Transfer, type TransferOptions } from '../../../lib/index.ts'

function make(options: object): () => Transfer {
  return () => new Transfer({ url: 'http://host/', ...options } as TransferOptions)
}

describe('options of redirects, authentication and cookies', () => {
  it.each<[object, string]>([
    [{ followRedirects: 1 }, 'option followRedirects must be true or false, not 1'],
    [{ maxRedirects: -1 }, 'option maxRedirects must be a whole number from 0 to 10000, not -1'],
    [{ postRedirect: 301 }, 'option postRedirect must be an array of 301, 302, 303, not 301'],
    [{ postRedirect: [307] }, 'option postRedirect must be 301 or 302 or 303, not 307'],
    [{ redirectProtocols: ['ftp'] }, 'option redirectProtocols must be "http" or "https", not "ftp"'],
    [{ httpAuth: 'ntlm' }, 'option httpAuth must be "bearer" or "digest" or "basic" or "any", not "ntlm"'],
    [{ httpAuth: [] }, 'option httpAuth must not be an empty list'],
    [{ httpAuth: ['any'] }, 'option httpAuth must be "bearer" or "digest" or "basic", not "any"'],
    [{ netrc: true }, 'option netrc must be "ignored" or "optional" or "required", not true'],
    [{ netrcFile: '/x' }, "option netrcFile needs netrc: 'optional' or 'required'"],
    [{ netrcText: '' }, "option netrcText needs netrc: 'optional' or 'required'"],
    [{ netrc: 'optional', netrcText: '', netrcFile: '/x' }, 'option netrcText must be left out'],
    [{ netrc: 'required', netrcFile: '/nowhere/netrc' }, 'option netrcFile: ENOENT'],
    [{ netrc: 'optional', netrcText: 'machine' }, 'option netrcText: line 1'],
    [{ cookies: {} }, 'option cookies must be a CookieJar, not an object (Object)'],
    [{ cookie: 'a\r\nb: c' }, 'option cookie must be a string without control characters'],
    [{ userAgent: 'a\nb' }, 'option userAgent must be a string without control characters'],
    [{ referer: '\0' }, 'option referer must be'],
    [{ requestTarget: '/a b' }, 'option requestTarget must be visible ASCII without white space, not "/a b"'],
    [{ requestTarget: '' }, 'option requestTarget must be'],
    [{ defaultProtocol: 'ftp' }, 'option defaultProtocol must be "http" or "https", not "ftp"'],
    [{ rewindBody: true }, 'option rewindBody must be a function, not true'],
    [{ url: 'http://a%0ab:x@host/' }, 'option url: URL has a control character in the user name or password'],
  ])('are refused by name and value: %j', (options, message) => {
    expect(make(options)).toThrow(message)
  })

  it('never repeat a secret', () => {
    for (const options of [{ username: 's3cret\n' }, { password: 's3cret\0' }, { bearerToken: 's3cret token' }]) {
      expect(make(options)).toThrow(/^option (username|password|bearerToken) must be /)
      expect(make(options)).not.toThrow('s3cret')
    }
    expect(make({ netrc: 'required', netrcText: 's3cret' })).not.toThrow('s3cret')
  })

  it('take an absent file for none where .netrc is optional', () => {
    expect(make({ netrc: 'optional', netrcFile: '/nowhere/netrc' })).not.toThrow()
  })
})
