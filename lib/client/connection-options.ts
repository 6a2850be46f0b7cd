/**
 * The options of a transfer that say which connection it may use, and how a new one is made: a part of TransferOptions.
 */
import type { TlsOptions } from '../connection/tls-settings.ts'

export interface KeepAliveSettings {
  /** Silence before the first probe. Default 60. CURLOPT_TCP_KEEPIDLE. */
  idleSeconds?: number
  /** Between two probes. Default 60. CURLOPT_TCP_KEEPINTVL. */
  intervalSeconds?: number
  /** Unanswered probes before the connection is dead. Default 9. CURLOPT_TCP_KEEPCNT. */
  count?: number
}

export interface ConnectionOptions {
  /** An idle connection is used again for this long. Default 118,000; an older one is closed. CURLOPT_MAXAGE_CONN. */
  maxConnectionAgeMs?: number
  /**
   * From its making on, a connection is used again for this long. Default 24 hours; 0: for ever.
   * CURLOPT_MAXLIFETIME_CONN.
   */
  maxConnectionLifetimeMs?: number
  /** Send small pieces at once. Default true. CURLOPT_TCP_NODELAY. */
  noDelay?: boolean
  /** Probe a silent peer; true takes the defaults. Default false. CURLOPT_TCP_KEEPALIVE. */
  keepAlive?: boolean | KeepAliveSettings
  /**
   * What to connect from: a network device as 'eth0' or 'if!eth0', an IP address of this machine as '192.0.2.1' or
   * 'host!192.0.2.1', or both as 'ifhost!eth0!192.0.2.1'. INTERFACE_FAILED when there is none. CURLOPT_INTERFACE.
   */
  interface?: string
  /** IP address of this machine to connect from; INTERFACE_FAILED when it is none. CURLOPT_INTERFACE. */
  localAddress?: string
  /** Port to connect from. Default 0, the system's choice. CURLOPT_LOCALPORT. */
  localPort?: number
  /** How many ports are tried from localPort on, until one is free. Default 1. CURLOPT_LOCALPORTRANGE. */
  localPortRange?: number
  /**
   * 'host:port:connectToHost:connectToPort': requests for that host and port go there. An empty part stands for every
   * host or port, or for the request's own; the first entry that fits counts. CURLOPT_CONNECT_TO.
   */
  connectTo?: readonly string[]
  /** How old a looked-up name may be. Default 60,000; 0: asked anew; Infinity: for ever. CURLOPT_DNS_CACHE_TIMEOUT. */
  dnsCacheTimeoutMs?: number
  /**
   * Ask this server for names, over HTTPS (RFC 8484); its own name the system is asked for. 'http:' is taken for a
   * server on this machine. Default null: the system is asked. CURLOPT_DOH_URL.
   */
  dohUrl?: string | null
  /** TLS to that server. CURLOPT_DOH_SSL_VERIFYPEER, CURLOPT_DOH_SSL_VERIFYHOST and their like. */
  dohTls?: TlsOptions
  /** Keep the origin's certificates for `info.certificates`. Default false. CURLOPT_CERTINFO. */
  certificateInfo?: boolean
}
