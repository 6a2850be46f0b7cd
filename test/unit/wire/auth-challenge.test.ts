import { describe, expect, it } from 'vitest'
import { parseAuthChallenges } from '../../../lib/wire/auth-challenge.ts'

function parse(...values: string[]): unknown[] {
  return parseAuthChallenges(values).map(({ scheme, token68, parameters }) =>
    token68 === '' ? [scheme, Object.fromEntries(parameters)] : [scheme, token68],
  )
}

describe('challenges', () => {
  it('are read one per field and several in one field', () => {
    expect(parse('Basic realm="a"', 'Bearer')).toEqual([
      ['basic', { realm: 'a' }],
      ['bearer', {}],
    ])
    expect(parse('Negotiate, Basic realm="x, y=z", charset=UTF-8 ,,Digest nonce = "n" ,\trealm=r')).toEqual([
      ['negotiate', {}],
      ['basic', { realm: 'x, y=z', charset: 'UTF-8' }],
      ['digest', { nonce: 'n', realm: 'r' }],
    ])
    expect(parse('Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"')).toEqual([
      ['newauth', { realm: 'apps', type: '1', title: 'Login to "apps"' }],
      ['basic', { realm: 'simple' }],
    ])
  })

  it('may have a token instead of parameters', () => {
    expect(parse('Negotiate YWJj/+==, NTLM TlRMTQ==')).toEqual([
      ['negotiate', 'YWJj/+=='],
      ['ntlm', 'TlRMTQ=='],
    ])
    expect(parse('Basic a=b')).toEqual([['basic', { a: 'b' }]])
  })

  it('keep empty quoted values, and take names in any case', () => {
    expect(parse('BASIC Realm=""')).toEqual([['basic', { realm: '' }]])
    expect(parse('Basic realm="a\\b\\\\"')).toEqual([['basic', { realm: 'ab\\' }]])
  })

  it.each([
    ['quotes that are not escaped', 'realm="a "quoted" realm", nonce="n"', { realm: 'a "quoted" realm', nonce: 'n' }],
    ['a quote within', 'realm="a", nonce="n"x", qop="auth"', { realm: 'a', nonce: 'n"x', qop: 'auth' }],
    ['a quote that is not closed', 'realm="a", nonce="n", qop="auth', { realm: 'a', nonce: 'n', qop: 'auth' }],
    ['an escape that is not closed', 'realm="a", nonce="\\n\\', { realm: 'a', nonce: 'n\\' }],
    ['a quote that swallows the next', 'realm="a, nonce="n", qop="auth"', { realm: 'a, nonce="n', qop: 'auth' }],
    ['no commas', 'realm="a" nonce="n" qop="auth"', { realm: 'a', nonce: 'n', qop: 'auth' }],
    ['no quotes', 'realm=a b, nonce=n/=+x==, qop=auth', { realm: 'a b', nonce: 'n/=+x==', qop: 'auth' }],
    ['nothing behind the equals sign', 'realm="a", opaque=, nonce=', { realm: 'a', opaque: '', nonce: '' }],
    ['words behind a value', 'realm="a" is it, nonce="n"; x=1', { realm: 'a', nonce: 'n' }],
  ])('are read in spite of %s', (_what, text, parameters) => {
    expect(parse(`Digest ${text}`)).toEqual([['digest', parameters]])
    expect(parse(`Digest ${text}`, 'Basic realm="x"')).toEqual([
      ['digest', parameters],
      ['basic', { realm: 'x' }],
    ])
  })

  it('pass over what cannot be read up to the next comma', () => {
    expect(parse('Basic realm="b "q" r", Digest realm="a", nonce="n"')).toEqual([
      ['basic', { realm: 'b "q" r' }],
      ['digest', { realm: 'a', nonce: 'n' }],
    ])
    expect(parse('Digest realm="a", junk, qop=auth, Basic realm="b"')).toEqual([
      ['digest', { realm: 'a' }],
      ['junk', {}],
      ['basic', { realm: 'b' }],
    ])
    expect(parse('Basic realm=, x', '"quoted"', '', ' , ,', '=a', 'Basic @', '@, a=b, Basic')).toEqual([
      ['basic', 'realm='],
      ['x', {}],
      ['basic', {}],
      ['basic', {}],
    ])
  })

  it('take no time that grows with the square of their length', () => {
    const quotes = 'Digest a="'.repeat(200_000)
    const blanks = `Digest a="${'" '.repeat(500_000)}`
    expect(parseAuthChallenges([quotes, blanks, `Digest ${'a="x'.repeat(400_000)}`]).length).toBeLessThanOrEqual(32)
  })

  it('are void when they name a parameter twice', () => {
    expect(parse('Digest nonce="a", NONCE="b", Basic realm="x"')).toEqual([['basic', { realm: 'x' }]])
  })

  it('are bounded', () => {
    expect(parseAuthChallenges([Array.from({ length: 100 }, () => 'Basic').join(', ')]).length).toBe(32)
    const many = Array.from({ length: 100 }, (_, index) => `p${index}=v`).join(', ')
    expect(parse(`Digest ${many}`)).toEqual([])
  })
})
