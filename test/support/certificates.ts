/**
 * Certificates for tests, made on the spot: authorities, servers, clients, what was revoked, and what an OCSP responder
 * would say. P-256 keys, so one takes a millisecond.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { isIP } from 'node:net'
import { bits, boolean, context, enumerated, integer, octets, oid, sequence, set, tagged, time, utf8 } from './der.ts'

const DAY_MS = 86_400_000
const ECDSA_WITH_SHA256 = sequence(oid('1.2.840.10045.4.3.2'))
const SHA1 = sequence(oid('1.3.14.3.2.26'), tagged(0x05))

export interface CertificateWish {
  readonly commonName: string
  /** DNS names and IP addresses. */
  readonly names?: readonly string[]
  readonly isAuthority?: boolean
  /** Default: itself. */
  readonly issuer?: Certificate
  /** In days from now. Default -1 and 2. */
  readonly fromDay?: number
  readonly toDay?: number
}

export interface Certificate {
  readonly certificate: string
  readonly key: string
  readonly der: Buffer
  readonly privateKey: KeyObject
  readonly commonName: string
  readonly serial: number
  /** As curl pins it: sha256//BASE64. */
  readonly pin: string
  /** The bytes that key identifiers are hashes of. */
  readonly publicKeyBits: Buffer
}

let lastSerial = 4096

export function makeCertificate(wish: CertificateWish): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const serial = ++lastSerial
  const body = sequence(
    context(0, integer(2)),
    integer(serial),
    ECDSA_WITH_SHA256,
    nameOf(wish.issuer?.commonName ?? wish.commonName),
    sequence(time(inDays(wish.fromDay ?? -1)), time(inDays(wish.toDay ?? 2))),
    nameOf(wish.commonName),
    spki,
    context(3, sequence(...extensionsOf(wish))),
  )
  const der = signed(body, wish.issuer?.privateKey ?? privateKey)
  return {
    certificate: pem('CERTIFICATE', der),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    der,
    privateKey,
    commonName: wish.commonName,
    serial,
    pin: `sha256//${createHash('sha256').update(spki).digest('base64')}`,
    publicKeyBits: spki.subarray(spki.length - 65),
  }
}

/** The key in PEM, under a passphrase. */
export function encryptedKey(certificate: Certificate, passphrase: string): string {
  return certificate.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase }).toString()
}

export function makeRevocationList(issuer: Certificate, revoked: readonly Certificate[]): string {
  const entries = revoked.map(({ serial }) => sequence(integer(serial), time(inDays(-1))))
  const body = sequence(
    integer(1),
    ECDSA_WITH_SHA256,
    nameOf(issuer.commonName),
    time(inDays(-1)),
    time(inDays(2)),
    ...(entries.length > 0 ? [sequence(...entries)] : []),
  )
  return pem('X509 CRL', signed(body, issuer.privateKey))
}

export type OcspVerdict = 'good' | 'revoked' | 'expired'

/** In DER, signed by the issuer itself. */
export function makeOcspResponse(issuer: Certificate, subject: Certificate, verdict: OcspVerdict): Buffer {
  const sha1 = (bytes: Uint8Array): Buffer => createHash('sha1').update(bytes).digest()
  const keyHash = sha1(issuer.publicKeyBits)
  const id = sequence(SHA1, octets(sha1(nameOf(issuer.commonName))), octets(keyHash), integer(subject.serial))
  const status = verdict === 'revoked' ? tagged(0xa1, time(inDays(-1))) : tagged(0x80)
  const isOld = verdict === 'expired'
  const single = sequence(id, status, time(inDays(isOld ? -4 : -1)), context(0, time(inDays(isOld ? -2 : 1))))
  const body = sequence(context(2, octets(keyHash)), time(inDays(0)), sequence(single))
  const signature = bits(sign('sha256', body, issuer.privateKey))
  const basic = sequence(body, ECDSA_WITH_SHA256, signature, context(0, sequence(issuer.der)))
  return sequence(enumerated(0), context(0, sequence(oid('1.3.6.1.5.5.7.48.1.1'), octets(basic))))
}

function extensionsOf(wish: CertificateWish): Buffer[] {
  const extensions = [
    sequence(oid('2.5.29.19'), boolean(true), octets(sequence(...(wish.isAuthority ? [boolean(true)] : [])))),
  ]
  if (wish.names !== undefined && wish.names.length > 0) {
    extensions.push(sequence(oid('2.5.29.17'), octets(sequence(...wish.names.map(generalName)))))
  }
  return extensions
}

function generalName(name: string): Buffer {
  const version = isIP(name)
  if (version === 0) return tagged(0x82, Buffer.from(name))
  if (version === 4) return tagged(0x87, Buffer.from(name.split('.').map(Number)))
  if (name !== '::1') throw new Error(`no bytes are known for ${name}`)
  return tagged(0x87, Buffer.from([...new Array<number>(15).fill(0), 1]))
}

function nameOf(commonName: string): Buffer {
  return sequence(set(sequence(oid('2.5.4.3'), utf8(commonName))))
}

function signed(body: Buffer, key: KeyObject): Buffer {
  return sequence(body, ECDSA_WITH_SHA256, bits(sign('sha256', body, key)))
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

function inDays(days: number): Date {
  return new Date(Date.now() + days * DAY_MS)
}
