/**
 * From what an engine says to curl's codes, with OpenSSL's reason in words. The same failure of the protocol has
 * another code in the handshake than while receiving or sending.
 */
import { type SystemError, type TransferCodeName, TransferError } from '../base/errors.ts'
import { type TlsFailure, TlsFailureKind } from '../sys/tls.ts'

export type TlsPhase = 'SSL_CONNECT_ERROR' | 'RECV_ERROR' | 'SEND_ERROR'

const CODES: Readonly<Record<number, TransferCodeName>> = {
  [TlsFailureKind.VERIFY]: 'PEER_FAILED_VERIFICATION',
  [TlsFailureKind.NAME]: 'PEER_FAILED_VERIFICATION',
  [TlsFailureKind.PIN]: 'SSL_PINNEDPUBKEYNOTMATCH',
  [TlsFailureKind.STATUS]: 'SSL_INVALIDCERTSTATUS',
  [TlsFailureKind.CERTIFICATE_REQUIRED]: 'SSL_CLIENTCERT',
}

export function tlsFailure(failure: TlsFailure, phase: TlsPhase, peer: string): TransferError {
  const where = phase === 'SSL_CONNECT_ERROR' ? `TLS handshake with ${peer}` : `TLS connection to ${peer}`
  return new TransferError(CODES[failure.kind] ?? phase, `${where}: ${failure.reason}`)
}

export function handshakeEnded(peer: string): TransferError {
  return new TransferError('SSL_CONNECT_ERROR', `TLS handshake with ${peer}: the peer closed the connection`)
}

export function handshakeBroken(peer: string, cause: SystemError): TransferError {
  return new TransferError('SSL_CONNECT_ERROR', `TLS handshake with ${peer}: ${cause.message}`, cause)
}

/** What was received may have been cut by anybody: only close_notify ends a stream. */
export function truncated(peer: string): TransferError {
  return new TransferError('RECV_ERROR', `TLS connection to ${peer}: the peer closed it without close_notify`)
}
