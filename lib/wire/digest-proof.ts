/**
 * The arithmetic of Digest (RFC 7616 §3.4), for both sides: what a client answers to a nonce, and what a server
 * expects. Text that stood on the wire is Latin-1; names and passwords that a program gives are UTF-8, by bytes.
 */
import { createHash } from 'node:crypto'

/** By the names of RFC 7616, weakest first: OpenSSL's names. */
export const DIGEST_HASHES: Readonly<Record<string, string>> = {
  MD5: 'md5',
  'SHA-256': 'sha256',
  'SHA-512-256': 'sha512-256',
}

export interface DigestExchange {
  /** OpenSSL's name of the hash. */
  readonly hash: string
  /** H(A1): of `digestKey`, or for -sess of `digestSessionKey`. */
  readonly key: string
  readonly nonce: string
  /** '00000001'; null as RFC 2069 had it, without a quality of protection. */
  readonly count: string | null
  readonly clientNonce: string
  readonly method: string
  readonly target: string
}

/** Of text that stands on the wire. */
function digestText(hash: string, latin1: string): string {
  return createHash(hash).update(latin1, 'latin1').digest('hex')
}

/** H(username:realm:password), which a server may keep instead of the password. The realm is Latin-1. */
export function digestKey(hash: string, username: string, realm: string, password: string): string {
  return digestParts(hash, username, ':', Buffer.from(realm, 'latin1'), ':', password)
}

export function digestSessionKey(hash: string, key: string, nonce: string, clientNonce: string): string {
  return digestText(hash, `${key}:${nonce}:${clientNonce}`)
}

/** H(username:realm), sent instead of the name when the server offers it. */
export function digestUserHash(hash: string, username: string, realm: string): string {
  return digestParts(hash, username, ':', Buffer.from(realm, 'latin1'))
}

export function digestProof(exchange: DigestExchange): string {
  const { hash, key, nonce, count, clientNonce, method, target } = exchange
  const middle = count === null ? nonce : `${nonce}:${count}:${clientNonce}:auth`
  return digestText(hash, `${key}:${middle}:${digestText(hash, `${method}:${target}`)}`)
}

function digestParts(hash: string, ...parts: readonly (string | Uint8Array)[]): string {
  const digest = createHash(hash)
  for (const part of parts) digest.update(part)
  return digest.digest('hex')
}
