/** The options of DNS over HTTPS (RFC 8484), checked and made ready. */
import { type Check, checkOptions, isText, wrongRange } from '../base/options.ts'
import { TLS_CHECKS, type TlsOptions, tlsSettings } from '../connection/tls-settings.ts'
import { type ParsedUrl, parseUrl } from '../wire/url.ts'
import type { ConnectionOptions } from './connection-options.ts'

export interface DohSettings {
  readonly url: string
  readonly tls: TlsOptions
  /** Equal for servers that give equal answers. */
  readonly key: string
}

/** Where nobody listens in between, so that a resolver of this machine needs no certificate. */
const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1|localhost)$/

const isDohUrl: Check = (option, value) => {
  isText(option, value)
  let url: ParsedUrl
  try {
    url = parseUrl(value as string)
  } catch (error) {
    throw new TypeError(`option ${option}: ${(error as Error).message}`)
  }
  if (url.scheme === 'https' || (url.scheme === 'http' && LOOPBACK.test(url.host))) return
  throw wrongRange(option, 'a URL of https:, or of http: on this machine', value)
}

export const DOH_CHECKS: Readonly<Record<'dohUrl' | 'dohTls', Check>> = {
  dohUrl: (option, value) => {
    if (value !== null) isDohUrl(option, value)
  },
  dohTls: (option, value) => checkOptions(`option ${option}`, value, TLS_CHECKS),
}

/** The options have passed DOH_CHECKS. null: the system is asked. */
export function dohSettings({ dohUrl, dohTls = {} }: ConnectionOptions): DohSettings | null {
  if (dohUrl === undefined || dohUrl === null) return null
  return { url: dohUrl, tls: { ...dohTls }, key: `${dohUrl} ${tlsSettings(dohTls).key}` }
}
