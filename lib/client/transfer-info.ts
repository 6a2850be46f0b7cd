/**
 * What is known of a transfer, at any time (curl_easy_getinfo). Times are µs since it was added, 0 until the moment
 * came, in the order of curl's time line; sizes are bytes.
 */
import type { PeerCertificate } from '../connection/peer-certificate.ts'
import type { TlsDescription } from '../sys/tls.ts'
import type { AuthScheme } from './authentication.ts'

export class TransferInfo {
  /** The URL as it was asked for last. CURLINFO_EFFECTIVE_URL. */
  effectiveUrl: string
  /** CURLINFO_EFFECTIVE_METHOD. */
  effectiveMethod: string
  /** Redirects that were followed. CURLINFO_REDIRECT_COUNT. */
  redirectCount = 0
  /** Where the last response leads, when that was not followed; null otherwise. CURLINFO_REDIRECT_URL. */
  redirectUrl: string | null = null
  /** 'basic', 'digest' or 'bearer' when the last request proved who asks. CURLINFO_HTTPAUTH_USED. */
  authUsed: AuthScheme | '' = ''
  /** Of the last response head; 0 before. CURLINFO_RESPONSE_CODE. */
  status = 0
  /** '1.0' or '1.1'; '' before the head. CURLINFO_HTTP_VERSION. */
  httpVersion = ''
  /** CURLINFO_CONTENT_TYPE; null when there was none. */
  contentType: string | null = null
  /** What the response announced, -1 when it did not. CURLINFO_CONTENT_LENGTH_DOWNLOAD_T. */
  contentLength = -1
  /** Body bytes received. CURLINFO_SIZE_DOWNLOAD_T. */
  bytesReceived = 0
  /** Body bytes told, when decoded more than were received. CURLINFO_SIZE_DELIVERED. */
  bytesDelivered = 0
  /** What was asked for only if it changed, or did not, is not sent for that reason. CURLINFO_CONDITION_UNMET. */
  conditionUnmet = false
  /** Body bytes sent. CURLINFO_SIZE_UPLOAD_T. */
  bytesSent = 0
  /** CURLINFO_HEADER_SIZE. */
  headBytes = 0
  /** CURLINFO_REQUEST_SIZE. */
  requestBytes = 0
  /** Connections opened for it: 0 when it used one from the pool. CURLINFO_NUM_CONNECTS. */
  connects = 0
  /** How often it began again on a new connection, because a reused one died before it answered. */
  retries = 0
  /** Never used again within a Multi; 0 before. CURLINFO_CONN_ID. */
  connectionId = 0
  /** CURLINFO_PRIMARY_IP and _PORT; the path of a unix socket. */
  primaryAddress = ''
  primaryPort = 0
  /** CURLINFO_LOCAL_IP and _PORT. */
  localAddress = ''
  localPort = 0
  /** What TLS agreed on with the origin; null before, and without TLS. */
  tls: TlsDescription | null = null
  /** Why the origin's chain does not hold: OpenSSL's number, 0 when it does. CURLINFO_SSL_VERIFYRESULT. */
  verifyResult = 0
  /** The origin's chain, its own certificate first, where certificateInfo asks for it. CURLINFO_CERTINFO. */
  certificates: readonly PeerCertificate[] = []
  /** The descriptor of a raw transfer, -1 otherwise. CURLINFO_ACTIVESOCKET. */
  activeSocket = -1
  /** Of a WebSocket: the subprotocol that the server chose; '' for none. */
  webSocketProtocol = ''
  /**
   * Of a WebSocket: the code of the peer's close frame, 1005 when it had none, 1006 without a close frame; 0 before the
   * connection was open.
   */
  closeCode = 0
  closeReason = ''
  /** Until it got a connection or the permit to open one. CURLINFO_QUEUE_TIME_T. */
  queueTime = 0
  /** CURLINFO_NAMELOOKUP_TIME_T. */
  nameLookupTime = 0
  /** CURLINFO_CONNECT_TIME_T. */
  connectTime = 0
  /** CURLINFO_APPCONNECT_TIME_T: TLS is established. */
  appConnectTime = 0
  /** CURLINFO_PRETRANSFER_TIME_T: ready to send. */
  preTransferTime = 0
  /** CURLINFO_POSTTRANSFER_TIME_T: the request was sent. */
  postTransferTime = 0
  /** CURLINFO_STARTTRANSFER_TIME_T: the first byte of the response. */
  startTransferTime = 0
  /** Until the last request began, when others went before it. CURLINFO_REDIRECT_TIME_T. */
  redirectTime = 0
  /** CURLINFO_TOTAL_TIME_T; up to now while it runs. */
  totalTime = 0

  #addedAt = 0

  constructor(effectiveUrl: string, effectiveMethod: string) {
    this.effectiveUrl = effectiveUrl
    this.effectiveMethod = effectiveMethod
  }

  /** @internal The zero of its times, by the engine's clock. */
  begin(now: number): void {
    this.#addedAt = now
  }

  /** @internal Another request follows: sizes and times are its own from now on, heads and requests are counted on. */
  beginNext(effectiveUrl: string, effectiveMethod: string, now: number): void {
    this.effectiveUrl = effectiveUrl
    this.effectiveMethod = effectiveMethod
    this.redirectUrl = null
    this.redirectTime = this.since(now)
    this.contentType = null
    this.contentLength = -1
    this.bytesReceived = 0
    this.bytesDelivered = 0
    this.conditionUnmet = false
    this.bytesSent = 0
    this.tls = null
    this.verifyResult = 0
    this.certificates = []
    this.queueTime = 0
    this.nameLookupTime = 0
    this.connectTime = 0
    this.appConnectTime = 0
    this.preTransferTime = 0
    this.postTransferTime = 0
    this.startTransferTime = 0
  }

  /** @internal µs from the adding to that moment. */
  since(moment: number): number {
    return Math.round((moment - this.#addedAt) * 1000)
  }
}
