/**
 * TLS as a contract: an engine turns ciphertext into plaintext and back over memory, and knows no descriptor.
 * Ciphertext moves through a `TlsMemory` that was registered once; a call says how many bytes of it are new, and finds
 * in `status` what it left for the peer. Operating errors are values: an answer < 0 here, a TransferError where a
 * context is made.
 */
import { type TransferCodeName, TransferError } from '../base/errors.ts'
import type { RegisteredBuffer } from './kernel.ts'

/** What a call answers when it has no bytes to count. */
export const TlsAnswer = {
  /** The handshake is complete; of a read: the peer said close_notify. */
  DONE: 0,
  /** Needs more ciphertext. */
  AGAIN: -1,
  /** See `failure`. */
  FAILED: -2,
  /** Of a server: the ClientHello is here; `useContext` or not, then go on. */
  CHOOSE_CONTEXT: -3,
} as const

/** Where `status` holds what. */
export const TlsStatus = {
  /** Bytes of ciphertext for the peer, at the start of `output`. */
  OUTPUT: 0,
  /** Bits of TlsFlag. */
  FLAGS: 1,
  /** Records that a write made, and where each ends in `output`. All but the last hold PIECE_BYTES of plaintext. */
  PIECE_COUNT: 2,
  PIECE_ENDS: 3,
} as const
export const STATUS_LENGTH = 11
export const PIECE_BYTES = 16_384

export const TlsFlag = {
  /** Plaintext, ciphertext, an end or a failure waits inside: read again without new ciphertext. */
  PENDING: 1,
  /** Not all that is for the peer fitted into `output`: call again. */
  MORE_OUTPUT: 2,
  /** close_notify was received. */
  PEER_CLOSED: 4,
  /** `takeSession` has something. */
  HAS_SESSIONS: 8,
} as const

/** Why an engine failed. */
export const TlsFailureKind = {
  NONE: 0,
  PROTOCOL: 1,
  /** The chain of certificates does not hold. */
  VERIFY: 2,
  /** The certificate is for another name. */
  NAME: 3,
  /** The public key is not the pinned one. */
  PIN: 4,
  /** The stapled OCSP response is missing or says no. */
  STATUS: 5,
  /** The peer asked for a certificate that was not given. */
  CERTIFICATE_REQUIRED: 6,
} as const

export interface TlsFailure {
  readonly kind: number
  /** OpenSSL's reason in words. */
  readonly reason: string
  /** X509_V_ERR_*, 0 when it is about something else. */
  readonly verifyResult: number
}

/** Bytes, or the file that holds them. */
export type TlsSource = { readonly path: string } | { readonly bytes: Uint8Array }

export interface TlsAuthorities {
  /** Each a bundle in PEM, or one certificate in DER. */
  readonly sources: readonly TlsSource[]
  /** A directory of hashed names (c_rehash). */
  readonly directory: string | null
  /** The operating system's as well. */
  readonly system: boolean
}

/** What many connections share. Versions are those of the wire: 0x0303 is TLS 1.2. */
export interface TlsContextOptions {
  readonly server: boolean
  readonly verifyPeer: boolean
  /** Of a server: no client without a certificate. */
  readonly requirePeerCertificate: boolean
  readonly requireOcspStapling: boolean
  readonly keepSessions: boolean
  /** Of a server: stop with CHOOSE_CONTEXT once. */
  readonly selectByName: boolean
  /** null: Node's root certificates and NODE_EXTRA_CA_CERTS. */
  readonly authorities: TlsAuthorities | null
  readonly revocations: TlsSource | null
  /** PEM with the chain, DER, or PKCS #12. */
  readonly certificate: TlsSource | null
  /** null: beside the certificate. */
  readonly key: TlsSource | null
  readonly passphrase: string
  readonly minVersion: number
  readonly maxVersion: number
  /** OpenSSL's lists; '' leaves its default. */
  readonly ciphers: string
  readonly cipherSuites: string
  readonly curves: string
  readonly signatureAlgorithms: string
  /** Best first. */
  readonly protocols: readonly string[]
  /** curl's syntax: sha256//BASE64, several with ';' between, or the path of a public key; '' for none. */
  readonly pinnedPublicKey: string
  /** Of a server: what it staples, in DER. */
  readonly ocspResponse: Uint8Array | null
  readonly keyLogFile: string
}

export interface TlsMemory {
  readonly id: number
  readonly input: RegisteredBuffer
  readonly output: RegisteredBuffer
  readonly status: Int32Array
}

/** What a later connection to the same server can begin from. */
export interface TlsSession {
  /** TLS 1.3: used for one connection, so that an observer cannot link two. */
  readonly isSingleUse: boolean
  /** Frees it; an engine that was opened with it keeps what it needs. Idempotent. */
  release(): void
}

export interface TlsDescription {
  /** 'TLSv1.3' */
  readonly protocol: string
  readonly cipher: string
  /** '' when none was agreed on. */
  readonly alpn: string
  readonly isResumed: boolean
  /** X509_V_OK is 0; a reason although nothing failed when the peer is not verified. */
  readonly verifyResult: number
  readonly verifyReason: string
}

export interface TlsEngineOptions {
  /** Sent as SNI; '' for none. */
  readonly serverName: string
  /** That the certificate must be for; '' for any. */
  readonly peerName: string
  readonly peerNameIsAddress: boolean
  readonly session: TlsSession | null
}

export interface TlsEngine {
  handshake(memory: TlsMemory, inputLength: number): number
  /** Plaintext bytes, or an answer. */
  read(memory: TlsMemory, inputLength: number, bytes: Uint8Array, offset: number, length: number): number
  /** Plaintext bytes taken, or an answer. */
  write(memory: TlsMemory, bytes: Uint8Array, offset: number, length: number): number
  /** Leaves close_notify in `output`. */
  shutdown(memory: TlsMemory): number
  /** After CHOOSE_CONTEXT. False when that context cannot serve. */
  useContext(context: TlsContext): boolean
  readonly failure: TlsFailure
  describe(): TlsDescription
  /** In DER, the peer's own first. */
  certificates(): Uint8Array[]
  ocspResponse(): Uint8Array | null
  /** The newest session that is left, or null; the caller's to release. */
  takeSession(): TlsSession | null
  /** Of a server: the name that the client asked for; '' when none. */
  askedName(): string
  close(): void
}

/** Of the options that make a context, the one that cannot be used. */
export class TlsContextError extends TransferError {
  /** 'certificate', 'key', 'ca', 'ciphers', … */
  readonly part: string
  constructor(code: TransferCodeName, part: string, message: string, cause?: unknown) {
    super(code, message, cause)
    this.part = part
  }
}

export interface TlsContext {
  /** null when OpenSSL refuses: no memory, or a name that cannot be sent. */
  open(options: TlsEngineOptions): TlsEngine | null
}

export interface TlsProvider {
  /** OpenSSL's: '3.0.19'. */
  readonly version: string
  createContext(options: TlsContextOptions): TlsContext | TransferError
  /** The buffers must be known to nobody else. */
  register(input: RegisteredBuffer, output: RegisteredBuffer): TlsMemory
  unregister(memory: TlsMemory): void
  /** Secrets included. */
  exportSession(session: TlsSession): Uint8Array
  importSession(bytes: Uint8Array): TlsSession | null
  /** Engines of this thread that are open. */
  engineCount(): number
}
