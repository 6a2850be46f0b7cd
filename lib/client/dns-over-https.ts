/**
 * Names asked for over HTTPS (RFC 8484): one POST per family, side by side, as errands on the same Multi. The server's
 * own name is left to the system's resolver. When one family is known and the other keeps silent, it is not waited for
 * much longer. What a server says is believed as far as it is an answer to the question.
 */
import type { SystemError, TransferError } from '../base/errors.ts'
import type { IpFamily } from '../connection/address.ts'
import type { NameQuestion, NameSource, SourceAnswer } from '../connection/name-source.ts'
import { NAME_NEGATIVE_TTL_MS, nameError } from '../connection/names.ts'
import type { Host } from '../multi/host.ts'
import { Family } from '../sys/kernel.ts'
import {
  type AddressType,
  DNS_MESSAGE_BYTES_MAX,
  type DnsAnswer,
  encodeDnsQuery,
  RecordType,
  ResponseCode,
  readDnsAnswer,
} from '../wire/dns-message.ts'
import type { DohSettings } from './doh-settings.ts'
import { Errand } from './errand.ts'
import { callbacksOf } from './principal.ts'
import type { TransferOptions } from './transfer-options.ts'
import { type TransferSettings, transferSettings } from './transfer-settings.ts'

/**
 * How long a family that is known waits for the other. RFC 8305 proposes 50 ms, for answers that come one by one over
 * UDP; here both may have to connect first, and the family that comes too late is left out.
 */
const OTHER_FAMILY_MS = 1000
const MEDIA_TYPE = 'application/dns-message'
/** Named in errors where getaddrinfo would be. */
const SYSCALL = 'dns'

type Settle = (answer: SourceAnswer, now: number) => void

/** With the names of a transfer asked for where its options say. */
export function withNameSource(settings: TransferSettings): TransferSettings {
  const { doh } = settings.connection
  return doh === null ? settings : { ...settings, nameSource: new DnsOverHttps(doh) }
}

class DnsOverHttps implements NameSource {
  readonly key: string
  readonly #settings: DohSettings

  constructor(settings: DohSettings) {
    this.key = settings.key
    this.#settings = settings
  }

  ask(host: Host, hostname: string, family: IpFamily | null, settle: Settle): NameQuestion {
    return new Question(host, this.#settings, hostname, family, settle)
  }
}

class Question implements NameQuestion {
  readonly #hostname: string
  readonly #parts: QuestionPart[] = []
  readonly #settle: Settle

  constructor(host: Host, settings: DohSettings, hostname: string, family: IpFamily | null, settle: Settle) {
    this.#hostname = hostname
    this.#settle = settle
    // Preferred first (RFC 6724): where there is no IPv6, connecting fails at once and the other family is tried.
    for (const asked of [Family.IPV6, Family.IPV4] as const) {
      if (family !== null && family !== asked) continue
      const type = asked === Family.IPV6 ? RecordType.AAAA : RecordType.A
      const query = encodeDnsQuery(hostname, type)
      if (query === null) {
        settle({ addresses: [], error: nameError('ENOTFOUND', hostname, SYSCALL), ttlMs: 0 }, host.now)
        return
      }
      this.#parts.push(new QuestionPart(host, settings, hostname, type, asked, query, (now) => this.#answered(now)))
    }
  }

  cancel(): void {
    for (const part of this.#parts) part.errand.cancel()
  }

  #answered(now: number): void {
    const parts = this.#parts
    if (parts.every(({ isDone }) => isDone)) this.#settle(this.#judge(), now)
    else if (parts.some(({ addresses }) => addresses.length > 0)) {
      for (const { errand } of parts) errand.endBy(now + OTHER_FAMILY_MS)
    }
  }

  #judge(): SourceAnswer {
    const parts = this.#parts
    const failed = parts.find(({ failure }) => failure !== null)
    const addresses = parts.flatMap((part) => part.addresses)
    if (addresses.length > 0) {
      const ttls = parts.filter((part) => part.addresses.length > 0).map(({ answer }) => answer?.ttlSeconds ?? 0)
      const ttlMs = Math.min(...ttls) * 1000
      // What is missing may be there the next time.
      return { addresses, error: null, ttlMs: failed === undefined ? ttlMs : Math.min(ttlMs, NAME_NEGATIVE_TTL_MS) }
    }
    // That there is no such name is said of all its families.
    const isKnown = failed === undefined || parts.some(({ answer }) => answer?.responseCode === ResponseCode.NAME_ERROR)
    const error = isKnown ? nameError('ENOTFOUND', this.#hostname, SYSCALL) : failed.failure
    return { addresses, error, ttlMs: NAME_NEGATIVE_TTL_MS }
  }
}

/** What is asked about one family. */
class QuestionPart {
  readonly errand: Errand
  isDone = false
  answer: DnsAnswer | null = null
  failure: SystemError | null = null
  readonly #hostname: string
  readonly #type: AddressType
  readonly #family: IpFamily
  readonly #chunks: Uint8Array[] = []
  #mediaType = ''
  readonly #answered: (now: number) => void

  constructor(
    host: Host,
    { url, tls }: DohSettings,
    hostname: string,
    type: AddressType,
    family: IpFamily,
    query: Uint8Array,
    answered: (now: number) => void,
  ) {
    this.#hostname = hostname
    this.#type = type
    this.#family = family
    this.#answered = answered
    const options: TransferOptions = {
      ...tls,
      url,
      body: query,
      headers: { 'Content-Type': MEDIA_TYPE, Accept: MEDIA_TYPE },
      failOnError: true,
      maxFileSize: DNS_MESSAGE_BYTES_MAX,
      onHead: ({ headers }) => {
        this.#mediaType = headers.first('content-type') ?? ''
      },
      onData: (chunk) => {
        this.#chunks.push(chunk.slice())
      },
    }
    const settings = { ...transferSettings(options), isRepeatable: true }
    this.errand = new Errand(host, settings, callbacksOf(options), (error, now) => this.#done(error, now))
  }

  get addresses(): SourceAnswer['addresses'] {
    const family = this.#family
    return (this.answer?.addresses ?? []).map((address) => ({ family, address, port: 0 }))
  }

  #done(error: TransferError | null, now: number): void {
    this.isDone = true
    if (error !== null) this.#fail('EAI_AGAIN', error)
    else this.#read()
    this.#answered(now)
  }

  #read(): void {
    const { status } = this.errand.info
    if (status !== 200) return this.#fail('EAI_FAIL', new Error(`the server's status is ${status}`))
    const [mediaType = ''] = this.#mediaType.split(';')
    if (mediaType.trim().toLowerCase() !== MEDIA_TYPE) {
      return this.#fail('EAI_FAIL', new Error(`the server's answer is of type '${this.#mediaType.slice(0, 100)}'`))
    }
    const answer = readDnsAnswer(Buffer.concat(this.#chunks), this.#hostname, this.#type)
    if (typeof answer === 'string') return this.#fail('EAI_FAIL', new Error(`the server's answer is none: ${answer}`))
    this.answer = answer
    const { responseCode } = answer
    if (responseCode === ResponseCode.NO_ERROR || responseCode === ResponseCode.NAME_ERROR) return
    const code = responseCode === ResponseCode.SERVER_FAILURE ? 'EAI_AGAIN' : 'EAI_FAIL'
    this.#fail(code, new Error(`the server's answer has the code ${responseCode}`))
  }

  #fail(code: string, cause: Error): void {
    this.failure = nameError(code, this.#hostname, SYSCALL, cause)
  }
}
