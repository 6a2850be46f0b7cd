/**
 * A certificate that a peer showed, as text: what curl tells with CURLINFO_CERTINFO. It is parsed when the first
 * question comes, so that keeping one costs its bytes alone. What Node's parser does not tell, the version and the
 * algorithm of the signature, is read from the DER here. Bytes that are no certificate throw at the first question.
 */
import { X509Certificate } from 'node:crypto'

/** Algorithms of signatures in the wild, by their object identifiers; another one is told by its numbers. */
const SIGNATURE_ALGORITHMS: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.5': 'sha1WithRSAEncryption',
  '1.2.840.113549.1.1.10': 'rsassaPss',
  '1.2.840.113549.1.1.11': 'sha256WithRSAEncryption',
  '1.2.840.113549.1.1.12': 'sha384WithRSAEncryption',
  '1.2.840.113549.1.1.13': 'sha512WithRSAEncryption',
  '1.2.840.10045.4.1': 'ecdsa-with-SHA1',
  '1.2.840.10045.4.3.2': 'ecdsa-with-SHA256',
  '1.2.840.10045.4.3.3': 'ecdsa-with-SHA384',
  '1.2.840.10045.4.3.4': 'ecdsa-with-SHA512',
  '2.16.840.1.101.3.4.3.2': 'dsa_with_SHA256',
  '1.3.101.112': 'ED25519',
  '1.3.101.113': 'ED448',
}
/** The tag of the version, which only certificates of version 1 go without. */
const VERSION_TAG = 0xa0

interface Element {
  readonly tag: number
  readonly content: Buffer
  /** Where the next one begins. */
  readonly end: number
}

export class PeerCertificate {
  /** As it came over the wire. */
  readonly der: Uint8Array
  #parsed: X509Certificate | null = null

  constructor(der: Uint8Array) {
    this.der = der
  }

  /** 'CN=example.com, O=…', the parts of the name in their order. */
  get subject(): string {
    return oneLine(this.#certificate().subject)
  }

  get issuer(): string {
    return oneLine(this.#certificate().issuer)
  }

  /** 3 for all that are made today. */
  get version(): number {
    const first = elementAt(this.#body(), 0)
    return first.tag === VERSION_TAG ? (elementAt(first.content, 0).content[0] ?? 0) + 1 : 1
  }

  /** In hexadecimal. */
  get serialNumber(): string {
    return this.#certificate().serialNumber
  }

  /** 'ecdsa-with-SHA256', or the numbers of an object identifier. */
  get signatureAlgorithm(): string {
    const body = this.#body()
    let element = elementAt(body, 0)
    if (element.tag === VERSION_TAG) element = elementAt(body, element.end)
    // After the serial number comes the algorithm with its parameters.
    const oid = objectIdentifier(elementAt(elementAt(body, element.end).content, 0))
    return SIGNATURE_ALGORITHMS[oid] ?? oid
  }

  /** 'rsa', 'rsa-pss', 'ec', 'ed25519', …, with the curve or the number of bits behind it. */
  get publicKeyAlgorithm(): string {
    const { asymmetricKeyType, asymmetricKeyDetails } = this.#certificate().publicKey
    const detail = asymmetricKeyDetails?.namedCurve ?? asymmetricKeyDetails?.modulusLength
    return detail === undefined ? `${asymmetricKeyType}` : `${asymmetricKeyType} ${detail}`
  }

  get startDate(): Date {
    return new Date(this.#certificate().validFrom)
  }

  get expireDate(): Date {
    return new Date(this.#certificate().validTo)
  }

  /** 'DNS:example.com, IP Address:192.0.2.1'; '' when there are none. */
  get subjectAltName(): string {
    return this.#certificate().subjectAltName ?? ''
  }

  get pem(): string {
    return this.#certificate().toString()
  }

  /** SHA-256 of the whole, in hexadecimal with colons. */
  get fingerprint(): string {
    return this.#certificate().fingerprint256
  }

  /** Everything in lines of 'name: value', named as curl names it. */
  toString(): string {
    return [
      `Subject: ${this.subject}`,
      `Issuer: ${this.issuer}`,
      `Version: ${this.version}`,
      `Serial Number: ${this.serialNumber}`,
      `Signature Algorithm: ${this.signatureAlgorithm}`,
      `Public Key Algorithm: ${this.publicKeyAlgorithm}`,
      `Start date: ${this.startDate.toISOString()}`,
      `Expire date: ${this.expireDate.toISOString()}`,
      `X509v3 Subject Alternative Name: ${this.subjectAltName}`,
      `Cert: ${this.pem}`,
    ].join('\n')
  }

  #certificate(): X509Certificate {
    this.#parsed ??= new X509Certificate(this.der)
    return this.#parsed
  }

  /** What is signed: the first part of a certificate. Node has parsed it, so its shape is right. */
  #body(): Buffer {
    const whole = elementAt(this.#certificate().raw, 0)
    return elementAt(whole.content, 0).content
  }
}

/** Node puts each part of a name on a line of its own. */
function oneLine(name: string | undefined): string {
  return (name ?? '').split('\n').join(', ')
}

function elementAt(bytes: Buffer, at: number): Element {
  let length = bytes[at + 1] ?? 0
  let start = at + 2
  if (length >= 0x80) {
    const size = length & 0x7f
    length = bytes.readUIntBE(start, size)
    start += size
  }
  return { tag: bytes[at] ?? 0, content: bytes.subarray(start, start + length), end: start + length }
}

function objectIdentifier({ content }: Element): string {
  const [first = 0, ...rest] = content
  const numbers = [Math.min(Math.floor(first / 40), 2), first - 40 * Math.min(Math.floor(first / 40), 2)]
  let number = 0
  for (const byte of rest) {
    number = number * 128 + (byte & 0x7f)
    if (byte < 0x80) {
      numbers.push(number)
      number = 0
    }
  }
  return numbers.join('.')
}
