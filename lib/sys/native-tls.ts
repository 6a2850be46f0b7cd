/**
 * Binds the TLS addon, a binary of its own, on first use: OpenSSL is Node's. Where that is missing or of another major
 * version, `openTls` throws an Error that says so, and everything else of the library works. Files are read here, so
 * that whoever uses a context needs no file system.
 */
import { createHash, createPublicKey } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { TransferError } from '../base/errors.ts'
import type { RegisteredBuffer } from './kernel.ts'
import { addonPath } from './native.ts'
import {
  STATUS_LENGTH,
  type TlsAuthorities,
  type TlsContext,
  TlsContextError,
  type TlsContextOptions,
  type TlsDescription,
  type TlsEngine,
  type TlsEngineOptions,
  type TlsFailure,
  type TlsMemory,
  type TlsProvider,
  type TlsSession,
  type TlsSource,
} from './tls.ts'

type Store = object
type NativeContext = object

interface Refusal {
  readonly problem: Problem
  readonly reason: string
}

interface TlsAddon {
  readonly version: string
  newStore(options: { authorities: Uint8Array[]; directory: string; revocations: Uint8Array }): Store | Refusal
  newContext(store: Store, options: Readonly<Record<string, unknown>>): NativeContext | Refusal
  memoryRegister(input: Uint8Array, output: Uint8Array, status: Int32Array): number
  memoryRelease(memory: number): void
  engineOpen(context: NativeContext, options: TlsEngineOptions, session: number): number
  engineUseContext(engine: number, context: NativeContext): boolean
  engineHandshake(engine: number, memory: number, inputLength: number): number
  engineRead(
    engine: number,
    memory: number,
    inputLength: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): number
  engineWrite(
    engine: number,
    memory: number,
    inputLength: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): number
  engineShutdown(engine: number, memory: number, inputLength: number): number
  engineClose(engine: number): void
  engineCount(): number
  engineDescribe(engine: number): TlsDescription
  engineFailure(engine: number): TlsFailure
  engineCertificates(engine: number): Uint8Array[]
  engineOcspResponse(engine: number): Uint8Array | null
  engineTakeSession(engine: number): number
  engineAskedName(engine: number): string
  sessionIsSingleUse(session: number): boolean
  sessionExport(session: number): Uint8Array
  sessionImport(bytes: Uint8Array): number
  sessionRelease(session: number): void
}

const ADDON_FILE = 'sockmux_tls.node'
/** The headers that the addon is compiled with: OpenSSL keeps its binary interface within a major version. */
const OPENSSL_MAJOR = '3'
const HASH_BYTES = 32
const NOTHING = new Uint8Array(0)
const require = createRequire(import.meta.url)
/** Where systems keep their bundle, for a Node that cannot say. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

/** What a step of making a context is called, and curl's code for its failure. */
const PROBLEMS = {
  context: ['SSL_CONNECT_ERROR', 'the TLS context'],
  ca: ['SSL_CACERT_BADFILE', 'the certificate authorities'],
  caDirectory: ['SSL_CACERT_BADFILE', 'the directory of certificate authorities'],
  crl: ['SSL_CRL_BADFILE', 'the certificate revocation list'],
  certificate: ['SSL_CERTPROBLEM', 'the certificate'],
  key: ['SSL_CERTPROBLEM', 'the private key'],
  pin: ['SSL_PINNEDPUBKEYNOTMATCH', 'the pinned public key'],
  minVersion: ['SSL_CONNECT_ERROR', 'the lowest TLS version'],
  maxVersion: ['SSL_CONNECT_ERROR', 'the highest TLS version'],
  ciphers: ['SSL_CIPHER', 'the list of ciphers'],
  cipherSuites: ['SSL_CIPHER', 'the list of TLS 1.3 cipher suites'],
  curves: ['SSL_CIPHER', 'the list of curves'],
  signatureAlgorithms: ['SSL_CIPHER', 'the list of signature algorithms'],
  keyLogFile: ['SSL_CONNECT_ERROR', 'the key log file'],
} as const
type Problem = keyof typeof PROBLEMS

function refusal(problem: Problem, reason: string, cause?: unknown): TransferError {
  const [code, subject] = PROBLEMS[problem]
  return new TlsContextError(code, problem, `TLS: ${subject} cannot be used: ${reason || 'no reason given'}`, cause)
}

class NativeSession implements TlsSession {
  readonly isSingleUse: boolean
  readonly #addon: TlsAddon
  #id: number

  constructor(addon: TlsAddon, id: number) {
    this.#addon = addon
    this.#id = id
    this.isSingleUse = addon.sessionIsSingleUse(id)
  }

  /** 0 once released. */
  get id(): number {
    return this.#id
  }

  release(): void {
    this.#addon.sessionRelease(this.#id)
    this.#id = 0
  }
}

function sessionOf(addon: TlsAddon, id: number): TlsSession | null {
  return id === 0 ? null : new NativeSession(addon, id)
}

class NativeEngine implements TlsEngine {
  readonly #addon: TlsAddon
  #id: number

  constructor(addon: TlsAddon, id: number) {
    this.#addon = addon
    this.#id = id
  }

  handshake(memory: TlsMemory, inputLength: number): number {
    return this.#addon.engineHandshake(this.#id, memory.id, inputLength)
  }

  read(memory: TlsMemory, inputLength: number, bytes: Uint8Array, offset: number, length: number): number {
    return this.#addon.engineRead(this.#id, memory.id, inputLength, bytes, offset, length)
  }

  write(memory: TlsMemory, bytes: Uint8Array, offset: number, length: number): number {
    return this.#addon.engineWrite(this.#id, memory.id, 0, bytes, offset, length)
  }

  shutdown(memory: TlsMemory): number {
    return this.#addon.engineShutdown(this.#id, memory.id, 0)
  }

  useContext(context: TlsContext): boolean {
    return this.#addon.engineUseContext(this.#id, (context as OpenSslContext).handle)
  }

  get failure(): TlsFailure {
    return this.#addon.engineFailure(this.#id)
  }

  describe(): TlsDescription {
    return this.#addon.engineDescribe(this.#id)
  }

  certificates(): Uint8Array[] {
    return this.#addon.engineCertificates(this.#id)
  }

  ocspResponse(): Uint8Array | null {
    return this.#addon.engineOcspResponse(this.#id)
  }

  takeSession(): TlsSession | null {
    return sessionOf(this.#addon, this.#addon.engineTakeSession(this.#id))
  }

  askedName(): string {
    return this.#addon.engineAskedName(this.#id)
  }

  close(): void {
    this.#addon.engineClose(this.#id)
    this.#id = 0
  }
}

class OpenSslContext implements TlsContext {
  readonly handle: NativeContext
  readonly #addon: TlsAddon

  constructor(addon: TlsAddon, handle: NativeContext) {
    this.#addon = addon
    this.handle = handle
  }

  open(options: TlsEngineOptions): TlsEngine | null {
    const session = (options.session as NativeSession | null)?.id ?? 0
    const id = this.#addon.engineOpen(this.handle, options, session)
    return id === 0 ? null : new NativeEngine(this.#addon, id)
  }
}

class NativeTls implements TlsProvider {
  readonly #addon: TlsAddon
  /** Node's roots: parsed once, since that takes longer than a handshake. */
  #defaultStore: Store | null = null

  constructor(addon: TlsAddon) {
    this.#addon = addon
  }

  get version(): string {
    return this.#addon.version
  }

  createContext(options: TlsContextOptions): TlsContext | TransferError {
    const store = this.#store(options)
    if (store instanceof TransferError) return store
    const certificate = readSource('certificate', options.certificate)
    if (certificate instanceof TransferError) return certificate
    const key = readSource('key', options.key)
    if (key instanceof TransferError) return key
    const pins = readPins(options.pinnedPublicKey)
    if (pins instanceof TransferError) return pins
    const made = this.#addon.newContext(store, {
      ...options,
      certificate,
      key,
      pins,
      alpn: wireProtocols(options.protocols),
      ocspResponse: options.ocspResponse ?? NOTHING,
    })
    return isRefusal(made) ? refusal(made.problem, made.reason) : new OpenSslContext(this.#addon, made)
  }

  register(input: RegisteredBuffer, output: RegisteredBuffer): TlsMemory {
    const status = new Int32Array(STATUS_LENGTH)
    return { id: this.#addon.memoryRegister(input.bytes, output.bytes, status), input, output, status }
  }

  unregister(memory: TlsMemory): void {
    this.#addon.memoryRelease(memory.id)
  }

  exportSession(session: TlsSession): Uint8Array {
    return this.#addon.sessionExport((session as NativeSession).id)
  }

  importSession(bytes: Uint8Array): TlsSession | null {
    return sessionOf(this.#addon, this.#addon.sessionImport(bytes))
  }

  engineCount(): number {
    return this.#addon.engineCount()
  }

  #store(options: TlsContextOptions): Store | TransferError {
    const { authorities, revocations, verifyPeer } = options
    const isPlain = authorities === null && revocations === null
    // Nothing is verified against it, except that a stapled response needs a signature.
    if (!verifyPeer && isPlain && !options.requireOcspStapling) return this.#newStore([], '', NOTHING)
    if (isPlain && this.#defaultStore !== null) return this.#defaultStore
    const bundles = authorities === null ? defaultAuthorities() : readAuthorities(authorities)
    if (bundles instanceof TransferError) return bundles
    const lists = readSource('crl', revocations)
    if (lists instanceof TransferError) return lists
    const store = this.#newStore(bundles, authorities?.directory ?? '', lists)
    if (isPlain && !(store instanceof TransferError)) this.#defaultStore = store
    return store
  }

  #newStore(authorities: Uint8Array[], directory: string, revocations: Uint8Array): Store | TransferError {
    if (directory !== '' && !existsSync(directory)) return refusal('caDirectory', `${directory} does not exist`)
    const made = this.#addon.newStore({ authorities, directory, revocations })
    return isRefusal(made) ? refusal(made.problem, made.reason) : made
  }
}

function isRefusal(made: object): made is Refusal {
  return 'problem' in made
}

function readSource(problem: Problem, source: TlsSource | null): Uint8Array | TransferError {
  if (source === null) return NOTHING
  if ('bytes' in source) return source.bytes
  try {
    return readFileSync(source.path)
  } catch (cause) {
    return refusal(problem, (cause as Error).message, cause)
  }
}

function readAuthorities({ sources, system }: TlsAuthorities): Uint8Array[] | TransferError {
  const bundles = system ? systemAuthorities() : []
  if (bundles instanceof TransferError) return bundles
  for (const source of sources) {
    const bytes = readSource('ca', source)
    if (bytes instanceof TransferError) return bytes
    bundles.push(bytes)
  }
  return bundles
}

/** Loaded when it is needed: most programs have it already, the others do without its weight. */
function nodeTls(): typeof import('node:tls') {
  return require('node:tls')
}

/** As Node trusts by default. A broken NODE_EXTRA_CA_CERTS is no error to Node either, which warns by itself. */
function defaultAuthorities(): Uint8Array[] {
  const bundles: Uint8Array[] = [Buffer.from(nodeTls().rootCertificates.join('\n'))]
  const path = process.env['NODE_EXTRA_CA_CERTS']
  const extra = path ? readSource('ca', { path }) : NOTHING
  if (!(extra instanceof TransferError) && extra.length > 0) bundles.push(extra)
  return bundles
}

/** As OpenSSL finds them: SSL_CERT_FILE goes before the system's bundle. */
function systemAuthorities(): Uint8Array[] | TransferError {
  const { getCACertificates } = nodeTls() as { getCACertificates?: (type: 'system') => string[] }
  const certificates = getCACertificates?.('system') ?? []
  if (certificates.length > 0) return [Buffer.from(certificates.join('\n'))]
  const path = process.env['SSL_CERT_FILE'] || SYSTEM_BUNDLES.find((bundle) => existsSync(bundle))
  const bytes = readSource('ca', path === undefined ? null : { path })
  return bytes instanceof TransferError ? bytes : [bytes]
}

/** SHA-256 hashes one after the other. */
function readPins(text: string): Uint8Array | TransferError {
  if (text === '') return NOTHING
  if (!text.startsWith('sha256//')) return hashOfKeyFile(text)
  const hashes = text.split(';').map((pin) => Buffer.from(pin.trim().slice('sha256//'.length), 'base64'))
  if (hashes.some((hash) => hash.length !== HASH_BYTES)) return refusal('pin', `${text} is not sha256//BASE64`)
  return Buffer.concat(hashes)
}

function hashOfKeyFile(path: string): Uint8Array | TransferError {
  try {
    const bytes = readFileSync(path)
    const isPem = bytes.includes('-----BEGIN')
    const key = createPublicKey(isPem ? { key: bytes, format: 'pem' } : { key: bytes, format: 'der', type: 'spki' })
    return createHash('sha256')
      .update(key.export({ type: 'spki', format: 'der' }))
      .digest()
  } catch (cause) {
    return refusal('pin', (cause as Error).message, cause)
  }
}

/** Each with its length before it. */
function wireProtocols(protocols: readonly string[]): Uint8Array {
  return Buffer.concat(protocols.map((name) => Buffer.from(`${String.fromCharCode(name.length)}${name}`, 'latin1')))
}

/** '' when TLS can be used here, else why not. */
function problemOfHost(): string {
  const { openssl, electron, bun } = process.versions as Record<string, string | undefined>
  if (bun !== undefined || electron !== undefined) return 'this runtime does not bring OpenSSL'
  if (openssl === undefined) return 'this Node.js was built without OpenSSL'
  const major = openssl.split('.')[0]
  return major === OPENSSL_MAJOR ? '' : `compiled for OpenSSL ${OPENSSL_MAJOR}, but this process has ${openssl}`
}

let opened: NativeTls | null = null

/** Throws an Error where there is no TLS. */
export function openTls(): TlsProvider {
  if (opened !== null) return opened
  const problem = problemOfHost()
  if (problem !== '') throw new Error(`no TLS: ${problem}`)
  const path = join(dirname(addonPath()), ADDON_FILE)
  try {
    opened = new NativeTls(require(path) as TlsAddon)
  } catch (cause) {
    throw new Error(`no TLS: the addon ${path} could not be loaded: ${(cause as Error).message}`, { cause })
  }
  return opened
}
