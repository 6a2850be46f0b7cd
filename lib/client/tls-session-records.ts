/**
 * The TLS sessions of a Multi as plain values, to be kept or carried to another process, thread or Multi
 * (curl_easy_ssls_export, curl_easy_ssls_import). They are secrets: whoever reads one can read and forge what a
 * connection that begins from it carries.
 */
import { MultiError } from '../base/errors.ts'
import { isObject, isText, wrongType } from '../base/options.ts'
import { type TlsService, tlsService } from '../connection/tls-service.ts'
import { engineOf, Multi } from '../multi/multi.ts'

export interface TlsSessionRecord {
  /** Whom the session was made with and by which options: it serves transfers of the same TLS options only. */
  readonly key: string
  /** OpenSSL's encoding (ASN.1). */
  readonly data: Uint8Array
}

/** Every session that the Multi keeps now, the oldest first; it keeps them. */
export function exportTlsSessions(multi: Multi<object>): TlsSessionRecord[] {
  const { provider, sessions } = serviceOf('exportTlsSessions', multi)
  const records: TlsSessionRecord[] = []
  if (provider === null) return records
  for (const [key, session] of sessions.entries()) records.push({ key, data: provider.exportSession(session) })
  return records
}

/**
 * Adds sessions to those that the Multi keeps, and returns how many it took: data that is no session is passed over.
 * A session of TLS 1.3 should be given to one Multi only, since it is meant to be used once.
 */
export function importTlsSessions(multi: Multi<object>, records: readonly TlsSessionRecord[]): number {
  const { provider, sessions } = serviceOf('importTlsSessions', multi)
  if (!Array.isArray(records)) throw wrongType('records', 'an array of { key, data }', records)
  for (const [index, record] of records.entries()) checkRecord(`records[${index}]`, record)
  let taken = 0
  for (const { key, data } of records) {
    const session = provider?.importSession(data) ?? null
    if (session === null) continue
    sessions.put(key, session)
    taken++
  }
  return taken
}

function serviceOf(name: string, multi: Multi<object>): TlsService {
  if (!(multi instanceof Multi)) throw wrongType('multi', 'a Multi', multi)
  const engine = engineOf(multi)
  if (engine.closed) throw new MultiError('BAD_HANDLE', `${name}: this Multi is closed`)
  return engine.facility(tlsService)
}

function checkRecord(option: string, record: unknown): void {
  isObject(option, record)
  const { key, data } = record as Partial<TlsSessionRecord>
  isText(`${option}.key`, key)
  if (!(data instanceof Uint8Array)) throw wrongType(`${option}.data`, 'a Uint8Array', data)
}
