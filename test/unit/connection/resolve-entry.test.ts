import { describe, expect, it } from 'vitest'
import { findResolveEntry, parseResolveEntry } from '../../../lib/connection/resolve-entry.ts'
import { ip } from './fake-engine.ts'

describe('parseResolveEntry', () => {
  it('reads host, port and addresses of both families, with or without brackets', () => {
    const addresses = [ip('10.0.0.1', 80), ip('::1', 80), ip('fe80::2', 80)]
    expect(parseResolveEntry('Example.COM:80:10.0.0.1,[::1],fe80::2')).toEqual({
      host: 'example.com',
      port: 80,
      addresses,
    })
    expect(parseResolveEntry('a:80:::1')).toEqual({ host: 'a', port: 80, addresses: [ip('::1', 80)] })
  })

  it('accepts a plus, a bracketed host and every host', () => {
    expect(parseResolveEntry('+a:1:10.0.0.1')).toEqual({ host: 'a', port: 1, addresses: [ip('10.0.0.1', 1)] })
    expect(parseResolveEntry('[::5]:1:10.0.0.1').host).toBe('::5')
    expect(parseResolveEntry('*:1:10.0.0.1').host).toBe('*')
  })

  it('reads a minus as taking back', () => {
    expect(parseResolveEntry('-a:1')).toEqual({ host: 'a', port: 1, addresses: null })
  })

  it.each([
    '',
    'a',
    'a:80',
    'a:80:',
    'a:b:10.0.0.1',
    'a:65536:10.0.0.1',
    'a:80:b',
    'a:80:10.0.0.1,',
    '-a:80:10.0.0.1',
    ':80:10.0.0.1',
  ])('refuses %j and names the option and the entry', (entry) => {
    expect(() => parseResolveEntry(entry)).toThrow(TypeError)
    expect(() => parseResolveEntry(entry)).toThrow(`resolve: entry '${entry}'`)
  })
})

describe('findResolveEntry', () => {
  const find = (entries: string[], host: string, port: number): string[] | null =>
    findResolveEntry(entries.map(parseResolveEntry), host, port)?.map(({ address }) => address) ?? null

  it('goes by host and port, whatever the case', () => {
    expect(find(['a:80:10.0.0.1', 'a:81:10.0.0.2'], 'A', 81)).toEqual(['10.0.0.2'])
    expect(find(['a:80:10.0.0.1'], 'b', 80)).toBeNull()
    expect(find(['[::5]:80:10.0.0.1'], '[::5]', 80)).toEqual(['10.0.0.1'])
  })

  it('lets the last entry count, and a minus take back', () => {
    expect(find(['a:80:10.0.0.1', 'a:80:10.0.0.2'], 'a', 80)).toEqual(['10.0.0.2'])
    expect(find(['a:80:10.0.0.1', '-a:80'], 'a', 80)).toBeNull()
  })

  it('prefers a named host to every host', () => {
    expect(find(['a:80:10.0.0.1', '*:80:10.0.0.9'], 'a', 80)).toEqual(['10.0.0.1'])
    expect(find(['a:80:10.0.0.1', '*:80:10.0.0.9'], 'b', 80)).toEqual(['10.0.0.9'])
  })
})
