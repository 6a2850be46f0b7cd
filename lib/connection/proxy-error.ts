/**
 * Why a proxy did not let a transfer through. `code` is curl's: PROXY for SOCKS, with the detail of
 * CURLINFO_PROXY_ERROR beside it; RECV_ERROR for a CONNECT that was refused, with what the proxy answered, so that its
 * owner can answer a challenge.
 */
import { TransferError } from '../base/errors.ts'
import { HeaderList } from '../wire/http1/header-list.ts'
import { ProxyCode, type ProxyCodeName } from '../wire/socks.ts'

export class ProxyError extends TransferError {
  readonly proxyCode: ProxyCodeName
  readonly proxyNumber: ProxyCode

  constructor(proxyCode: ProxyCodeName, message: string, cause?: unknown) {
    super('PROXY', message, cause)
    this.name = 'ProxyError'
    this.proxyCode = proxyCode
    this.proxyNumber = ProxyCode[proxyCode]
  }
}

/** What a proxy answered to CONNECT. */
export interface TunnelResponse {
  readonly status: number
  readonly reason: string
  readonly httpVersion: '0.9' | '1.0' | '1.1'
  readonly headers: HeaderList
  /** As it was sent, Latin-1, with the empty line. */
  readonly headText: string
}

export class TunnelError extends TransferError {
  readonly status: number
  readonly headers: HeaderList
  /** The same connection may be asked again (`TunnelFilter.retry`); else a new one is needed for that. */
  readonly reusable: boolean

  constructor(response: TunnelResponse | null, reusable: boolean, message: string) {
    super('RECV_ERROR', message)
    this.name = 'TunnelError'
    this.status = response?.status ?? 0
    this.headers = response?.headers ?? HeaderList.EMPTY
    this.reusable = reusable
  }

  /** The challenges of a 407, one per field; a field may hold several. */
  get challenges(): string[] {
    return this.headers.getAll('proxy-authenticate')
  }
}
