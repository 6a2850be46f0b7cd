import { describe, expect, it } from 'vitest'
import { checkOptions } from '../../../lib/base/options.ts'
import { TLS_CHECKS, type TlsOptions, tlsSettings } from '../../../lib/connection/tls-settings.ts'

function settingsOf(options: unknown): ReturnType<typeof tlsSettings> {
  checkOptions('TLS options', options, TLS_CHECKS)
  return tlsSettings(options as TlsOptions)
}

const PIN = `sha256//${'A'.repeat(43)}=`

describe('TLS settings', () => {
  it('verify peer and host, from TLS 1.2 on, when nothing is said', () => {
    const settings = settingsOf({})
    expect(settings).toMatchObject({ verifyHost: true, alpn: true, sessionCache: true, serverName: null })
    expect(settings.context).toMatchObject({
      verifyPeer: true,
      authorities: null,
      minVersion: 0x0303,
      maxVersion: 0x0304,
      certificate: null,
    })
  })

  it.each<[object, string]>([
    [{ verifyPeer: 1 }, 'verifyPeer'],
    [{ ca: 7 }, 'ca'],
    [{ ca: [] }, 'ca'],
    [{ ca: [new Uint8Array(0)] }, 'ca'],
    [{ caFile: '' }, 'caFile'],
    [{ caFile: 'a\0b' }, 'caFile'],
    [{ tlsMinVersion: 'TLSv2' }, 'tlsMinVersion'],
    [{ tlsMinVersion: 3 }, 'tlsMinVersion'],
    [{ tlsMinVersion: 'TLSv1.3', tlsMaxVersion: 'TLSv1.2' }, 'tlsMaxVersion'],
    [{ tlsMaxVersion: 'TLSv1.1' }, 'tlsMaxVersion'],
    [{ ciphers: '' }, 'ciphers'],
    [{ keyPassphrase: 12345 }, 'keyPassphrase'],
    [{ certificate: 'a', certificateFile: 'b' }, 'certificate and certificateFile'],
    [{ certificateKey: 'a' }, 'certificateKey'],
    [{ pinnedPublicKey: 'sha256//short' }, 'pinnedPublicKey'],
    [{ pinnedPublicKey: `${PIN};${PIN.slice(0, -2)}` }, 'pinnedPublicKey'],
    [{ serverName: 'two words' }, 'serverName'],
    [{ serverName: 'x'.repeat(256) }, 'serverName'],
    [{ cafile: 'x' }, 'did you mean caFile'],
  ])('refuse %j and name the option', (options, name) => {
    expect(() => settingsOf(options)).toThrow(name)
  })

  it('never show a passphrase', () => {
    expect(() => settingsOf({ keyPassphrase: 4711 })).toThrow(/^(?!.*4711)/)
  })

  it('have one key when they are equal, and another for every difference', () => {
    const bytes = new TextEncoder().encode('an authority')
    const variants: TlsOptions[] = [
      {},
      { ca: 'an authority' },
      { ca: 'another authority' },
      { ca: ['an authority', 'another authority'] },
      { caFile: 'an authority' },
      { caDirectory: 'an authority' },
      { useSystemCa: true },
      { verifyPeer: false },
      { verifyHost: false },
      { serverName: 'a.example' },
      { serverName: '' },
      { tlsMaxVersion: 'TLSv1.2' },
      { ciphers: 'AES128-SHA' },
      { certificate: 'mine' },
      { certificate: 'mine', certificateKey: 'secret' },
      { certificate: 'mine', keyPassphrase: 'secret' },
      { pinnedPublicKey: PIN },
      { crl: 'gone' },
      { requireOcspStapling: true },
      { sessionCache: false },
    ]
    const keys = variants.map((options) => settingsOf(options).key)
    expect(new Set(keys).size).toBe(variants.length)
    expect(settingsOf({ ca: bytes }).key).toBe(settingsOf({ ca: 'an authority' }).key)
    expect(keys.every((key) => !key.includes('secret'))).toBe(true)
  })

  it('keep their own copy of bytes', () => {
    const certificate = new TextEncoder().encode('mine')
    const settings = settingsOf({ certificate })
    certificate.fill(0)
    expect(settings.context.certificate).toEqual({ bytes: new TextEncoder().encode('mine') })
  })
})
