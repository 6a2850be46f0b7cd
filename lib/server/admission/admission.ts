/**
 * Who may come in. Each accepted peer passes the same steps, the cheap ones first: the number of connections, their
 * number per address prefix, the rate, the policy. The first step that refuses is the reason of the drop. What was
 * taken on the way is given back, and a connection that ends gives back its place.
 */
import type { SocketAddress } from '../../sys/kernel.ts'
import type { Rate } from './accept-rate.ts'
import { isLocalPeer, type PrefixKey, type PrefixLengths, prefixKey } from './address-prefix.ts'
import { type AdmissionCounts, LocalCounts } from './admission-counts.ts'

/** Why a peer was turned away, in the order of the steps. */
export const DROP_REASONS = [
  /** The server is suspended, and told to turn peers away. */
  'suspended',
  /** As many connections as `limits.connections`. */
  'connections',
  /** As many connections of its address prefix as `limits.perPrefix`. */
  'address',
  /** Faster than `limits.rate`. */
  'rate',
  /** `policy` said no. */
  'policy',
  /** It had gone before it was looked at. */
  'gone',
] as const
export type DropReason = (typeof DROP_REASONS)[number]

/** What becomes of a peer that is turned away: FIN, a reset, or these bytes and then FIN. */
export type Rejection = 'close' | 'reset' | Uint8Array

/** True: let it in. */
export type PolicyVerdict = boolean | { readonly reject: Rejection }
export type Policy = (peer: SocketAddress) => PolicyVerdict

/** What may change while the server runs. Infinity: no limit. */
export interface Limits {
  readonly connections: number
  /** Of one IPv4 address or one IPv6 /64. 'default': 256, and no limit for peers on this machine. */
  readonly perPrefix: number | 'default'
  /** null: as fast as they come. */
  readonly rate: Rate | null
}

export interface AdmissionSettings {
  readonly limits: Limits
  readonly prefixLengths: PrefixLengths
  /** Must not throw. */
  readonly policy: Policy | null
  /** What the limits do when they are reached: leave peers in the queue of the kernel, or turn them away. */
  readonly overload: 'pause' | 'reject'
}

/** A large office behind one address fits; one peer alone cannot take all places. */
const PER_PREFIX_DEFAULT = 256

export class Admission {
  limits: Limits
  readonly counts: AdmissionCounts
  /** Of the last refusal by the policy, which may say how. */
  policyRejection: Rejection | null = null
  readonly #settings: AdmissionSettings
  /** It was taken before somebody is admitted. */
  #hasPlace = false

  constructor(settings: AdmissionSettings, counts: AdmissionCounts = new LocalCounts()) {
    this.#settings = settings
    this.limits = settings.limits
    this.counts = counts
  }

  /** How many may be accepted now; 0 only where peers wait in the queue of the kernel. */
  room(now: number): number {
    if (this.#settings.overload === 'reject') return Number.POSITIVE_INFINITY
    const { connections, rate } = this.limits
    const places = Math.max(connections - this.counts.connections, 0)
    return rate === null ? places : Math.min(places, this.counts.rate.available(rate, now))
  }

  /** When there may be room again without anybody leaving here; Infinity when that is not known. */
  roomAt(now: number): number {
    const { rate } = this.limits
    if (this.#settings.overload === 'reject') return Number.POSITIVE_INFINITY
    // Shared places may be free again since it was asked for room.
    const recheckAt = now + this.counts.recheckMs
    if (this.isFull || rate === null) return recheckAt
    const at = this.counts.rate.nextAt(rate)
    return at > now ? Math.min(at, recheckAt) : recheckAt
  }

  /** Others take places as well, and peers wait: who is accepted needs one already. */
  get isShared(): boolean {
    return this.counts.recheckMs !== Number.POSITIVE_INFINITY && this.#settings.overload === 'pause'
  }

  /** Takes a place for whoever is admitted next. False: there is none any more. */
  reserve(): boolean {
    this.#hasPlace ||= this.counts.enter(this.limits.connections)
    return this.#hasPlace
  }

  /** Nobody came for it. */
  giveBack(): void {
    if (!this.#hasPlace) return
    this.#hasPlace = false
    this.counts.leave()
  }

  get isFull(): boolean {
    return this.counts.connections >= this.limits.connections
  }

  keyOf(peer: SocketAddress): PrefixKey | null {
    return prefixKey(peer, this.#settings.prefixLengths)
  }

  /** null: it is in, and counted until `release` with the same key. */
  admit(peer: SocketAddress, key: PrefixKey | null, now: number): DropReason | null {
    const { counts, limits } = this
    if (this.#hasPlace) this.#hasPlace = false
    else if (!counts.enter(limits.connections)) return 'connections'
    const refused = this.#admitAddress(peer, key, now, limits.rate)
    if (refused !== null) counts.leave()
    return refused
  }

  /** The peer behind a proxy is known now: its key takes the place of the proxy's. */
  readmit(proxyKey: PrefixKey | null, peer: SocketAddress, now: number): DropReason | null {
    const refused = this.#admitAddress(peer, this.keyOf(peer), now, null)
    if (refused === null && proxyKey !== null) this.counts.leavePrefix(proxyKey)
    return refused
  }

  release(key: PrefixKey | null): void {
    this.counts.leave()
    if (key !== null) this.counts.leavePrefix(key)
  }

  #admitAddress(peer: SocketAddress, key: PrefixKey | null, now: number, rate: Rate | null): DropReason | null {
    const { counts } = this
    if (key !== null && !counts.enterPrefix(key, this.#mostOf(peer))) return 'address'
    let refused: DropReason | null = null
    if (rate !== null && !counts.rate.take(rate, now)) refused = 'rate'
    else if (!this.#asksPolicy(peer)) refused = 'policy'
    if (refused !== null && key !== null) counts.leavePrefix(key)
    return refused
  }

  #asksPolicy(peer: SocketAddress): boolean {
    this.policyRejection = null
    const { policy } = this.#settings
    if (policy === null) return true
    const verdict = policy(peer)
    if (typeof verdict === 'object' && verdict !== null) {
      this.policyRejection = verdict.reject
      return false
    }
    return verdict === true
  }

  #mostOf(peer: SocketAddress): number {
    const { perPrefix } = this.limits
    if (perPrefix !== 'default') return perPrefix
    return isLocalPeer(peer) ? Number.POSITIVE_INFINITY : PER_PREFIX_DEFAULT
  }
}
