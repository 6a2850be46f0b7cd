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

  it('end where they cannot be read, and those before count', () => {
    expect(parse('Basic realm="a", Digest nonce="open')).toEqual([['basic', { realm: 'a' }]])
    expect(parse('Digest realm="a", nonce="open')).toEqual([])
    expect(parse('Digest realm="a" nonce="b"')).toEqual([])
    expect(parse('Basic realm=, x', '"quoted"', '', ' , ,', '=a', 'Basic @')).toEqual([
      ['basic', 'realm='],
      ['x', {}],
    ])
    expect(parse('Digest realm="a", nonce=')).toEqual([])
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
