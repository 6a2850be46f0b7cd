/**
 * Sends a header of the PROXY protocol before all other bytes, for servers behind a load balancer's port. It reads
 * nothing: DONE when the header is out.
 */
import { TransferError } from '../base/errors.ts'
import { Family, type SocketAddress } from '../sys/kernel.ts'
import { encodeProxyHeader, proxyTransport } from '../wire/proxy-protocol.ts'
import { type Filter, FilterStatus } from './filter.ts'
import { type HandshakeEngine, ProxyHandshake } from './proxy-handshake.ts'

/**
 * Ends that are not IP addresses of one family, or not known any more, are told as unknown, as curl does; in version 2
 * with the command 'local', since a receiver may refuse to be told of a client without an address.
 */
export function proxyHeaderBetween(
  source: SocketAddress | null,
  destination: SocketAddress | null,
  version: 1 | 2 = 1,
): Uint8Array {
  const isIp = source !== null && destination !== null && source.family !== Family.UNIX
  const transport = isIp ? proxyTransport(source.address, destination.address) : 'unknown'
  const command = version === 2 && transport === 'unknown' ? 'local' : 'proxy'
  return encodeProxyHeader({ version, command, transport, source, destination, tlvs: [] })
}

export class ProxyHeaderFilter extends ProxyHandshake {
  constructor(engine: HandshakeEngine, below: Filter, header: Uint8Array) {
    super(engine, below)
    this.offer(header)
  }

  protected override advance(_now: number): FilterStatus {
    const sent = this.flush()
    if (sent > 0) return FilterStatus.DONE
    if (sent === 0) return FilterStatus.PENDING
    return this.failBelow(
      sent,
      'send',
      (cause) => new TransferError('SEND_ERROR', `could not send the PROXY header: ${cause.message}`, cause),
    )
  }
}
