import { describe, expect, it } from 'vitest'
import { HeaderList } from '../../../lib/wire/http1/header-list.ts'

describe('HeaderList', () => {
  const list = HeaderList.fromPairs([
    ['Set-Cookie', 'a=1'],
    ['Accept', 'x'],
    ['SET-COOKIE', 'b=2'],
    ['accept', 'y'],
  ])

  it('keeps order and spelling', () => {
    expect(list.size).toBe(4)
    expect([...list].map(([name]) => name)).toEqual(['Set-Cookie', 'Accept', 'SET-COOKIE', 'accept'])
    expect(list.raw[3]).toEqual(['accept', 'y'])
  })

  it('finds names without regard to case', () => {
    expect(list.get('ACCEPT')).toBe('x, y')
    expect(list.first('accept')).toBe('x')
    expect(list.getAll('set-Cookie')).toEqual(['a=1', 'b=2'])
    expect(list.has('SET-cookie')).toBe(true)
    expect(list.has('set-cooki')).toBe(false)
    expect(list.get('none')).toBeUndefined()
    expect(list.getAll('none')).toEqual([])
  })

  it('does not take other characters for letters of another case', () => {
    const odd = HeaderList.fromPairs([['a[', '1']])
    expect(odd.has('a{')).toBe(false)
    expect(odd.has('A[')).toBe(true)
  })

  it('is made from a record and gives one', () => {
    const made = HeaderList.fromRecord({ A: '1', b: ['2', '3'] })
    expect(made.raw).toEqual([
      ['A', '1'],
      ['b', '2'],
      ['b', '3'],
    ])
    expect({ ...made.toRecord() }).toEqual({ a: '1', b: '2, 3' })
    expect(list.toRecord()['set-cookie']).toEqual(['a=1', 'b=2'])
  })

  it('keeps a field called __proto__ as a field', () => {
    expect(Object.keys(HeaderList.fromPairs([['__proto__', 'x']]).toRecord())).toEqual(['__proto__'])
  })

  it('may be empty', () => {
    expect([HeaderList.EMPTY.size, HeaderList.EMPTY.raw, HeaderList.EMPTY.get('a')]).toEqual([0, [], undefined])
  })
})
