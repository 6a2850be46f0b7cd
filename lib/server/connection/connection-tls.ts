/** What TLS agreed on with the peer of a server's connection, read from the stream when somebody asks. */
import { PeerCertificate } from '../../connection/peer-certificate.ts'
import type { ByteStream } from '../../connection/stream.ts'
import { TlsFilter } from '../../connection/tls-filter.ts'

export interface ConnectionTls {
  /** 'TLSv1.3' */
  readonly protocol: string
  readonly cipher: string
  /** '' when none was agreed on. */
  readonly alpn: string
  /** The name that the client asked for; '' when it asked for none. */
  readonly serverName: string
  readonly isResumed: boolean
  /** The client showed a certificate, and its chain is trusted. */
  readonly isAuthorized: boolean
  /** Why not, in OpenSSL's words; '' when it is. */
  readonly authorizationError: string
  /** The client's chain, its own certificate first; empty when it showed none, and once the connection is closed. */
  readonly certificates: readonly PeerCertificate[]
}

export function describeTls(stream: ByteStream): ConnectionTls | null {
  const { top } = stream
  if (!(top instanceof TlsFilter) || top.description === null) return null
  const { protocol, cipher, alpn, isResumed, verifyResult, verifyReason } = top.description
  const certificates = top.certificates().map((der) => new PeerCertificate(der))
  const isAuthorized = certificates.length > 0 && verifyResult === 0
  return {
    protocol,
    cipher,
    alpn,
    serverName: top.askedName,
    isResumed,
    isAuthorized,
    authorizationError: isAuthorized ? '' : certificates.length === 0 ? 'no certificate' : verifyReason,
    certificates,
  }
}
