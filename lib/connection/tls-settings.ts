/**
 * Options of TLS checked and made ready: names are curl's in words, and whatever has the wrong shape is refused here
 * with an error that names the option. What lies in files is read when the first connection needs it. Equal options
 * have equal keys, and what is kept per key (contexts, sessions) is shared by all that have it.
 */
import { createHash } from 'node:crypto'
import { type Check, isBoolean, isText, show, wrongRange, wrongType } from '../base/options.ts'
import type { TlsAuthorities, TlsContextOptions, TlsSource } from '../sys/tls.ts'

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'

export interface TlsOptions {
  /** PEM or DER; instead of Node's root certificates. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[]
  readonly caFile?: string
  /** A directory of certificates under their hashed names (c_rehash). */
  readonly caDirectory?: string
  /** Trust what the operating system trusts, besides `ca`, `caFile` and `caDirectory`. */
  readonly useSystemCa?: boolean
  /** The client's certificate with its chain, in PEM, or DER, or PKCS #12 with the key. */
  readonly certificate?: string | Uint8Array
  readonly certificateFile?: string
  /** Default: in the same text as the certificate. */
  readonly certificateKey?: string | Uint8Array
  readonly certificateKeyFile?: string
  readonly keyPassphrase?: string
  /** Is the chain of certificates trusted? Default true. */
  readonly verifyPeer?: boolean
  /** Is the certificate for that host? Default true. */
  readonly verifyHost?: boolean
  /** Default TLSv1.2. */
  readonly tlsMinVersion?: TlsVersion
  readonly tlsMaxVersion?: TlsVersion
  /** OpenSSL's list of ciphers, up to TLS 1.2. */
  readonly ciphers?: string
  /** Of TLS 1.3. */
  readonly cipherSuites?: string
  readonly curves?: string
  readonly signatureAlgorithms?: string
  /** Agree on the application's protocol within the handshake. Default true. */
  readonly alpn?: boolean
  /** Resume sessions. Default true. */
  readonly sessionCache?: boolean
  /** 'sha256//BASE64', several with ';' between, or the path of a public key. */
  readonly pinnedPublicKey?: string
  /** Certificate revocation lists, PEM or DER. */
  readonly crl?: string | Uint8Array
  readonly crlFile?: string
  readonly requireOcspStapling?: boolean
  /** Secrets are appended in the format of NSS, for Wireshark. */
  readonly keyLogFile?: string
  /** Asked for and verified instead of the host's name; '' asks for none. */
  readonly serverName?: string
}

export interface TlsSettings {
  readonly key: string
  readonly context: Omit<TlsContextOptions, 'protocols'>
  readonly verifyHost: boolean
  readonly alpn: boolean
  readonly sessionCache: boolean
  readonly serverName: string | null
}

const VERSIONS: Readonly<Record<TlsVersion, number>> = {
  TLSv1: 0x0301,
  'TLSv1.1': 0x0302,
  'TLSv1.2': 0x0303,
  'TLSv1.3': 0x0304,
}
const PIN_PATTERN = /^sha256\/\/[A-Za-z0-9+/]{43}=$/
const SERVER_NAME_BYTES_MAX = 255

const isBytes: Check = (option, value) => {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) {
    throw wrongType(option, 'a string or a Uint8Array', value)
  }
  if (value.length === 0) throw wrongRange(option, 'more than nothing', value)
}

const isBytesOrList: Check = (option, value) => {
  if (!Array.isArray(value)) isBytes(option, value)
  else if (value.length === 0) throw wrongRange(option, 'more than nothing', value)
  else for (const one of value) isBytes(option, one)
}

const isPath: Check = (option, value) => {
  isText(option, value)
  if (value === '' || (value as string).includes('\0')) throw wrongRange(option, 'a path', value)
}

const isList: Check = (option, value) => {
  isText(option, value)
  if (value === '' || (value as string).includes('\0')) throw wrongRange(option, "a list in OpenSSL's syntax", value)
}

const isVersion: Check = (option, value) => {
  isText(option, value)
  if (!Object.hasOwn(VERSIONS, value as string)) {
    throw wrongRange(option, `one of ${Object.keys(VERSIONS).join(', ')}`, value)
  }
}

const isPassphrase: Check = (option, value) => {
  // Never shown.
  if (typeof value !== 'string') throw wrongType(option, 'a string', typeof value)
}

const isPin: Check = (option, value) => {
  isPath(option, value)
  const text = value as string
  if (text.startsWith('sha256//') && !text.split(';').every((pin) => PIN_PATTERN.test(pin.trim()))) {
    throw wrongRange(option, "sha256//BASE64 of 32 bytes, several with ';' between", value)
  }
}

const isServerName: Check = (option, value) => {
  isText(option, value)
  const name = value as string
  if (name.length > SERVER_NAME_BYTES_MAX || !/^[\x21-\x7e]*$/.test(name)) {
    throw wrongRange(option, `a host name of at most ${SERVER_NAME_BYTES_MAX} ASCII characters`, value)
  }
}

export const TLS_CHECKS: Readonly<Record<keyof TlsOptions, Check>> = {
  ca: isBytesOrList,
  caFile: isPath,
  caDirectory: isPath,
  useSystemCa: isBoolean,
  certificate: isBytes,
  certificateFile: isPath,
  certificateKey: isBytes,
  certificateKeyFile: isPath,
  keyPassphrase: isPassphrase,
  verifyPeer: isBoolean,
  verifyHost: isBoolean,
  tlsMinVersion: isVersion,
  tlsMaxVersion: isVersion,
  ciphers: isList,
  cipherSuites: isList,
  curves: isList,
  signatureAlgorithms: isList,
  alpn: isBoolean,
  sessionCache: isBoolean,
  pinnedPublicKey: isPin,
  crl: isBytes,
  crlFile: isPath,
  requireOcspStapling: isBoolean,
  keyLogFile: isPath,
  serverName: isServerName,
}

/** The options must have passed TLS_CHECKS. Throws TypeError or RangeError for those that contradict each other. */
export function tlsSettings(options: TlsOptions): TlsSettings {
  const minVersion = VERSIONS[options.tlsMinVersion ?? 'TLSv1.2']
  const maxVersion = VERSIONS[options.tlsMaxVersion ?? 'TLSv1.3']
  if (minVersion > maxVersion) {
    throw wrongRange(
      'tlsMaxVersion',
      `at least tlsMinVersion (${options.tlsMinVersion ?? 'TLSv1.2'})`,
      options.tlsMaxVersion,
    )
  }
  const certificate = sourceOf(options, 'certificate', 'certificateFile')
  const key = sourceOf(options, 'certificateKey', 'certificateKeyFile')
  if (key !== null && certificate === null) {
    throw new TypeError('option certificateKey needs option certificate as well')
  }
  const context = {
    server: false,
    verifyPeer: options.verifyPeer ?? true,
    requirePeerCertificate: false,
    requireOcspStapling: options.requireOcspStapling ?? false,
    keepSessions: options.sessionCache ?? true,
    selectByName: false,
    authorities: authoritiesOf(options),
    revocations: sourceOf(options, 'crl', 'crlFile'),
    certificate,
    key,
    passphrase: options.keyPassphrase ?? '',
    minVersion,
    maxVersion,
    ciphers: options.ciphers ?? '',
    cipherSuites: options.cipherSuites ?? '',
    curves: options.curves ?? '',
    signatureAlgorithms: options.signatureAlgorithms ?? '',
    pinnedPublicKey: options.pinnedPublicKey ?? '',
    ocspResponse: null,
    keyLogFile: options.keyLogFile ?? '',
  }
  const verifyHost = options.verifyHost ?? true
  const serverName = options.serverName ?? null
  return {
    key: keyOf({ context, verifyHost, serverName }),
    context,
    verifyHost,
    alpn: options.alpn ?? true,
    sessionCache: options.sessionCache ?? true,
    serverName,
  }
}

function authoritiesOf(options: TlsOptions): TlsAuthorities | null {
  const { ca, caFile, caDirectory, useSystemCa } = options
  if (ca === undefined && caFile === undefined && caDirectory === undefined && !useSystemCa) return null
  const list: readonly (string | Uint8Array)[] = ca === undefined ? [] : isSingle(ca) ? [ca] : ca
  const sources: TlsSource[] = list.map((one) => ({ bytes: ownBytes(one) }))
  if (caFile !== undefined) sources.push({ path: caFile })
  return { sources, directory: caDirectory ?? null, system: useSystemCa ?? false }
}

function isSingle(ca: NonNullable<TlsOptions['ca']>): ca is string | Uint8Array {
  return typeof ca === 'string' || ca instanceof Uint8Array
}

function sourceOf(
  options: TlsOptions,
  inline: 'certificate' | 'certificateKey' | 'crl',
  file: 'certificateFile' | 'certificateKeyFile' | 'crlFile',
): TlsSource | null {
  const bytes = options[inline]
  const path = options[file]
  if (bytes !== undefined && path !== undefined) {
    throw new TypeError(`options ${inline} and ${file} exclude each other, got ${show(path)} as well`)
  }
  if (bytes !== undefined) return { bytes: ownBytes(bytes) }
  return path === undefined ? null : { path }
}

/** A copy, since what the user does with his bytes must not change what equal keys stand for. */
function ownBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? new TextEncoder().encode(value) : new Uint8Array(value)
}

/** Hashed, so that no key or passphrase stays behind in a text, nor a bundle of a megabyte. */
function keyOf(value: unknown): string {
  const text = JSON.stringify(value, (_name, part: unknown) =>
    part instanceof Uint8Array ? createHash('sha256').update(part).digest('base64') : part,
  )
  return createHash('sha256').update(text).digest('base64')
}
