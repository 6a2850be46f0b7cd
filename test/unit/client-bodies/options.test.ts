import { describe, expect, it } from 'vitest'
import { connectionSettings, findConnectTo } from '../../../lib/client/connection-settings.ts'
import { Form, type PartOptions, Transfer, type TransferOptions } from '../../../lib/index.ts'

const url = 'http://127.0.0.1/'
const form = new Form().add('a', 'b')

describe('a wrong option is refused, with its name and its value', () => {
  it.each<[keyof TransferOptions, unknown, string]>([
    ['acceptEncoding', 'compress', '"compress"'],
    ['acceptEncoding', true, 'true'],
    ['contentDecoding', 1, '1'],
    ['maxDecodedBytes', -1, '-1'],
    ['maxExpansion', 1.5, '1.5'],
    ['failOnError', 'yes', '"yes"'],
    ['maxFileSize', Number.NaN, 'NaN'],
    ['expect100', 0, '0'],
    ['expect100TimeoutMs', -1, '-1'],
    ['range', 'bytes=1-2', '"bytes=1-2"'],
    ['range', '5', '"5"'],
    ['resumeFrom', -5, '-5'],
    ['ifModifiedSince', '2020', '"2020"'],
    ['ifUnmodifiedSince', new Date(Number.NaN), 'object'],
    ['form', {}, 'object'],
    ['maxRecvSpeed', '1k', '"1k"'],
    ['maxSendSpeed', -1, '-1'],
    ['lowSpeedLimit', 0.5, '0.5'],
    ['lowSpeedTimeMs', '30', '"30"'],
    ['serverResponseTimeoutMs', Number.POSITIVE_INFINITY, 'Infinity'],
    ['maxConnectionAgeMs', -1, '-1'],
    ['maxConnectionLifetimeMs', null, 'null'],
    ['noDelay', 1, '1'],
    ['keepAlive', 60, '60'],
    ['localAddress', 'eth0', '"eth0"'],
    ['localPort', 70_000, '70000'],
    ['localPortRange', 0, '0'],
    ['localPortRange', 2, '2'],
    ['interface', 5, '5'],
    ['interface', '', '""'],
    ['interface', 'if!', '"if!"'],
    ['interface', 'if!eth0!1.2.3.4', '"if!eth0!1.2.3.4"'],
    ['interface', 'host!localhost', '"host!localhost"'],
    ['interface', 'ifhost!eth0!name', '"ifhost!eth0!name"'],
    ['interface', 'ifhost!eth0', '"ifhost!eth0"'],
    ['interface', 'a/b', '"a/b"'],
    ['interface', 'a-name-too-long-for-it', '"a-name-too-long-for-it"'],
    ['connectTo', 'a:1:b:2', '"a:1:b:2"'],
    ['connectTo', ['a:1:b'], '"a:1:b"'],
    ['connectTo', ['a:1:b:99999'], '"a:1:b:99999"'],
    ['dnsCacheTimeoutMs', -1, '-1'],
  ])('%s: %s', (name, value, shown) => {
    const make = (): Transfer => new Transfer({ url, [name]: value })
    expect(make).toThrow(name)
    expect(make).toThrow(shown)
  })

  it.each<[Partial<TransferOptions>, string]>([
    [{ range: '0-1', resumeFrom: 5 }, 'resumeFrom'],
    [{ ifModifiedSince: new Date(0), ifUnmodifiedSince: new Date(0) }, 'ifUnmodifiedSince'],
    [{ form, body: 'x' }, 'body'],
    [{ form, bodyLength: 5 }, 'bodyLength'],
    [{ keepAlive: { idleSeconds: 0 } }, 'idleSeconds'],
    [{ keepAlive: { idle: 5 } as object }, 'unknown option "idle"'],
  ])('%o', (options, name) => {
    expect(() => new Transfer({ url, ...options })).toThrow(name)
  })

  it.each<[PartOptions, string]>([
    [{}, 'exactly one'],
    [{ data: 'a', file: 'b' }, 'exactly one'],
    [{ data: 5 as unknown as string }, 'data'],
    [{ data: 'a', length: 1 }, 'length'],
    [{ pull: 5 as unknown as () => null }, 'pull'],
    [{ data: 'a', contentType: 'a\r\nb' }, 'contentType'],
    [{ data: 'a', headers: { 'a b': 'c' } }, 'headers'],
    [{ data: 'a', name: 'x' } as PartOptions, 'unknown option "name"'],
  ])('of a part of a form: %o', (options, name) => {
    expect(() => new Form().add('x', options)).toThrow(name)
  })

  it('of a form, when its file is none', () => {
    expect(() => new Transfer({ url, form: new Form().add('a', { file: '/no/such/file' }) })).toThrow('ENOENT')
    expect(() => new Transfer({ url, form: new Form().add('a', { file: '/' }) })).toThrow('option file')
    expect(() => new Form().add(5 as unknown as string, 'x')).toThrow('name')
  })
})

describe('connectTo', () => {
  const { connectTo } = connectionSettings({
    connectTo: ['a.test:80:b.test:81', '::fallback:', '[::1]:443:[::2]:', ':9:never:9'],
  })

  it('takes the first entry that fits; what is empty stands for all, or for what was asked', () => {
    expect(findConnectTo(connectTo, 'A.test', 80)).toEqual({ host: 'b.test', port: 81 })
    expect(findConnectTo(connectTo, 'a.test', 81)).toEqual({ host: 'fallback', port: 81 })
    expect(findConnectTo(connectTo.slice(2), '::1', 443)).toEqual({ host: '::2', port: 443 })
    expect(findConnectTo(connectTo.slice(2), 'x', 9)).toEqual({ host: 'never', port: 9 })
    expect(findConnectTo(connectTo.slice(2), 'x', 10)).toBe(null)
  })
})
