/**
 * TLS of a server: certificates and rules made ready when the server is made, so that a wrong file or key is refused
 * then and not by the first client. `reload` replaces them for connections to come; those that are open keep what they
 * have. Another certificate per name comes from `sni`, whose contexts are kept by the options object it returns.
 */
import { TransferError } from '../../base/errors.ts'
import { type Check, checkOptions, isBoolean, isFunction, wrongRange, wrongType } from '../../base/options.ts'
import { tlsService } from '../../connection/tls-service.ts'
import { TLS_CHECKS, type TlsOptions, tlsSettings } from '../../connection/tls-settings.ts'
import type { Host } from '../../multi/host.ts'
import { type TlsContext, TlsContextError, type TlsContextOptions, type TlsEngine } from '../../sys/tls.ts'

type SharedOptions = Pick<
  TlsOptions,
  | 'ca'
  | 'caFile'
  | 'caDirectory'
  | 'useSystemCa'
  | 'certificate'
  | 'certificateFile'
  | 'certificateKey'
  | 'certificateKeyFile'
  | 'keyPassphrase'
  | 'tlsMinVersion'
  | 'tlsMaxVersion'
  | 'ciphers'
  | 'cipherSuites'
  | 'curves'
  | 'signatureAlgorithms'
  | 'crl'
  | 'crlFile'
  | 'keyLogFile'
>

/** Of one certificate: what `sni` may choose. */
export interface TlsContextChoice extends SharedOptions {
  /**
   * 'request': a client may come without a certificate; `connection.tls` tells. 'require': it may not. A certificate
   * that is not trusted is refused in both cases. Both need `ca`. Default 'none'.
   */
  readonly clientCertificate?: 'none' | 'request' | 'require'
  /** Protocols to agree on (ALPN), best first. */
  readonly alpnProtocols?: readonly string[]
  /** Stapled to the certificate, in DER. */
  readonly ocspResponse?: Uint8Array
  /** Let clients resume sessions by tickets. Default true. */
  readonly sessionTickets?: boolean
}

export interface ServerTlsOptions extends TlsContextChoice {
  /** Called with the name that the client asks for ('' for none): what to serve it with; undefined: these options. */
  readonly sni?: (name: string) => TlsContextChoice | undefined
}

const ALPN_BYTES_MAX = 255
const CLIENT_CERTIFICATES: readonly unknown[] = ['none', 'request', 'require']

const isClientCertificate: Check = (option, value) => {
  if (!CLIENT_CERTIFICATES.includes(value)) throw wrongRange(option, "'none', 'request' or 'require'", value)
}

const isProtocolList: Check = (option, value) => {
  if (!Array.isArray(value)) throw wrongType(option, 'a list of protocols', value)
  for (const protocol of value) {
    if (typeof protocol !== 'string') throw wrongType(option, 'a list of protocols', protocol)
    const length = Buffer.byteLength(protocol)
    if (length === 0 || length > ALPN_BYTES_MAX)
      throw wrongRange(option, `names of 1 to ${ALPN_BYTES_MAX} bytes`, protocol)
  }
}

const isOcspResponse: Check = (option, value) => {
  if (!(value instanceof Uint8Array)) throw wrongType(option, 'a Uint8Array', value)
}

const SHARED = [
  'ca', 'caFile', 'caDirectory', 'useSystemCa', 'certificate', 'certificateFile', 'certificateKey',
  'certificateKeyFile', 'keyPassphrase', 'tlsMinVersion', 'tlsMaxVersion', 'ciphers', 'cipherSuites', 'curves',
  'signatureAlgorithms', 'crl', 'crlFile', 'keyLogFile',
] as const satisfies readonly (keyof SharedOptions)[] // biome-ignore format: a table

const CHOICE_CHECKS: Readonly<Record<string, Check>> = {
  ...Object.fromEntries(SHARED.map((name) => [name, TLS_CHECKS[name]])),
  clientCertificate: isClientCertificate,
  alpnProtocols: isProtocolList,
  ocspResponse: isOcspResponse,
  sessionTickets: isBoolean,
}
const CHECKS: Readonly<Record<string, Check>> = { ...CHOICE_CHECKS, sni: isFunction }

/** The option that a part of a context comes from; those with a file beside them say so. */
const OPTION_OF_PART: Readonly<Record<string, keyof TlsContextChoice>> = {
  certificate: 'certificate',
  key: 'certificateKey',
  ca: 'ca',
  caDirectory: 'caDirectory',
  crl: 'crl',
  minVersion: 'tlsMinVersion',
  maxVersion: 'tlsMaxVersion',
  ciphers: 'ciphers',
  cipherSuites: 'cipherSuites',
  curves: 'curves',
  signatureAlgorithms: 'signatureAlgorithms',
  keyLogFile: 'keyLogFile',
}

export class ServerTls {
  readonly #host: Host
  readonly #option: string
  readonly #protocols: readonly string[]
  #sni: ServerTlsOptions['sni']
  #context: TlsContext
  #chosen = new WeakMap<TlsContextChoice, TlsContext>()

  /**
   * `option` is what the options are called there; `protocols` is offered when they name none. Throws TypeError or
   * RangeError for wrong options, and a TransferError that names the option and gives OpenSSL's reason.
   */
  constructor(host: Host, option: string, options: unknown, protocols: readonly string[] = []) {
    this.#host = host
    this.#option = option
    this.#protocols = protocols
    checkOptions(`option ${option}`, options, CHECKS)
    const { sni, ...choice } = options as ServerTlsOptions
    this.#sni = sni
    this.#context = this.#makeContext(option, choice)
  }

  /** What the next connection begins with. */
  get context(): TlsContext {
    return this.#context
  }

  /** For `acceptTls`; null when there is one certificate for all names. */
  get onServerName(): ((name: string, engine: TlsEngine) => void) | null {
    return this.#sni === undefined ? null : this.#chooseContext
  }

  /** For connections to come. When it throws, everything stays as it was. */
  reload(options: ServerTlsOptions): void {
    checkOptions(`option ${this.#option}`, options, CHECKS)
    const { sni, ...choice } = options
    this.#context = this.#makeContext(this.#option, choice)
    this.#sni = sni
    this.#chosen = new WeakMap()
  }

  readonly #chooseContext = (name: string, engine: TlsEngine): void => {
    const choice = this.#sni?.(name)
    if (choice === undefined) return
    let context = this.#chosen.get(choice)
    if (context === undefined) {
      checkOptions('what sni returned', choice, CHOICE_CHECKS)
      context = this.#makeContext('sni', choice)
      this.#chosen.set(choice, context)
    }
    if (!engine.useContext(context))
      throw new TransferError('SSL_CERTPROBLEM', `sni: the context for ${name} cannot serve`)
  }

  #makeContext(option: string, choice: TlsContextChoice): TlsContext {
    const { provider, problem } = this.#host.facility(tlsService)
    if (provider === null) {
      throw new TransferError('UNSUPPORTED_PROTOCOL', `option ${option}: ${problem?.message ?? 'no TLS'}`, problem)
    }
    const made = provider.createContext(contextOptions(option, choice, this.#protocols))
    if (made instanceof TransferError) throw namedError(option, choice, made)
    return made
  }
}

function contextOptions(option: string, choice: TlsContextChoice, protocols: readonly string[]): TlsContextOptions {
  const { clientCertificate = 'none', alpnProtocols, ocspResponse, sessionTickets = true, ...shared } = choice
  if (choice.certificate === undefined && choice.certificateFile === undefined) {
    throw new TypeError(`option ${option}.certificate or ${option}.certificateFile is needed`)
  }
  const { context } = tlsSettings(shared)
  if (clientCertificate !== 'none' && context.authorities === null) {
    throw new TypeError(`option ${option}.clientCertificate needs ${option}.ca, which says whose certificates are good`)
  }
  return {
    ...context,
    server: true,
    verifyPeer: clientCertificate !== 'none',
    requirePeerCertificate: clientCertificate === 'require',
    keepSessions: sessionTickets,
    // Without a callback as well: the stop is where the name that was asked for is noted.
    selectByName: true,
    protocols: alpnProtocols ?? protocols,
    ocspResponse: ocspResponse === undefined ? null : new Uint8Array(ocspResponse),
  }
}

/** With the option's name in front. */
function namedError(option: string, choice: TlsContextChoice, error: TransferError): TransferError {
  const part = error instanceof TlsContextError ? OPTION_OF_PART[error.part] : undefined
  if (part === undefined) return new TransferError(error.code, `option ${option}: ${error.message}`, error)
  const file = `${part}File` as keyof TlsContextChoice
  const isInline = choice[part] !== undefined || choice[file] === undefined
  return new TransferError(error.code, `option ${option}.${isInline ? part : file}: ${error.message}`, error)
}
