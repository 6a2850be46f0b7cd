/**
 * Puts TLS on a stream: the client's side by its settings and the destination, the server's by a context. The handshake
 * begins with the stream's next `connect`. What cannot even begin is a TransferError.
 */
import { TransferError } from '../base/errors.ts'
import type { TlsContext, TlsEngine } from '../sys/tls.ts'
import { formatHostPort, ipFamily, stripBrackets } from './address.ts'
import type { Filter } from './filter.ts'
import { TlsFilter } from './tls-filter.ts'
import { contextKey, type TlsService } from './tls-service.ts'
import type { TlsSettings } from './tls-settings.ts'

export interface TlsTarget {
  readonly host: string
  readonly port: number
  /** Offered by ALPN, best first. */
  readonly protocols: readonly string[]
}

/** What a stream is to be upgraded: a ByteStream. */
interface Stack {
  readonly top: Filter
  push(filter: Filter): void
}

export function upgradeToTls(
  service: TlsService,
  stream: Stack,
  settings: TlsSettings,
  target: TlsTarget,
): TlsFilter | TransferError {
  const protocols = settings.alpn ? target.protocols : []
  const context = service.context(settings, protocols)
  if (context instanceof TransferError) return context
  const name = certificateName(settings.serverName || target.host)
  const isAddress = ipFamily(name) !== 0
  const peer = formatHostPort(target.host, target.port)
  const sessionKey = settings.sessionCache ? `${contextKey(settings, protocols)} ${peer}` : null
  const session = sessionKey === null ? null : service.sessions.take(sessionKey)
  const engine = context.open({
    serverName: isAddress || settings.serverName === '' ? '' : name,
    peerName: settings.verifyHost ? name : '',
    peerNameIsAddress: isAddress,
    session,
  })
  if (session?.isSingleUse) session.release()
  if (engine === null) {
    return new TransferError('SSL_CONNECT_ERROR', `TLS handshake with ${peer}: OpenSSL refuses the name ${name}`)
  }
  const filter = new TlsFilter(stream.top, { service, engine, peer, isServer: false, sessionKey })
  stream.push(filter)
  return filter
}

/** The server's side. `onServerName` may choose another context than `context` by `engine.useContext`. */
export function acceptTls(
  service: TlsService,
  stream: Stack,
  context: TlsContext,
  peer: string,
  onServerName: ((name: string, engine: TlsEngine) => void) | null = null,
): TlsFilter | TransferError {
  const engine = context.open({ serverName: '', peerName: '', peerNameIsAddress: false, session: null })
  if (engine === null) return new TransferError('SSL_CONNECT_ERROR', `TLS handshake with ${peer}: no memory`)
  const filter = new TlsFilter(stream.top, { service, engine, peer, isServer: true, sessionKey: null, onServerName })
  stream.push(filter)
  return filter
}

/** As certificates spell it: without the brackets and the zone of an address, and without the dot of the root. */
function certificateName(host: string): string {
  const bare = stripBrackets(host).replace(/%.*$/, '')
  return bare.endsWith('.') ? bare.slice(0, -1) : bare
}
