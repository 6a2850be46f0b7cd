/** What a Multi stands on unless its options say otherwise: the machine it runs on. */
import { type Clock, systemClock } from './clock.ts'
import type { Files } from './files.ts'
import type { InflateProvider } from './inflate.ts'
import type { Kernel } from './kernel.ts'
import { inflateProvider, kernel, NativeResolver } from './native.ts'
import { nativeFiles } from './native-files.ts'
import { openTls } from './native-tls.ts'
import type { Resolver } from './resolver.ts'
import type { TlsProvider } from './tls.ts'

export const defaults: {
  readonly kernel: Kernel
  readonly clock: Clock
  createResolver(): Resolver
  /** Throws an Error where there is no TLS, with the reason. */
  openTls(): TlsProvider
  readonly inflateProvider: InflateProvider
  readonly files: Files
  /** SOCKMUX_DEBUG=1 checks the invariants after every entry. */
  readonly debug: boolean
} = {
  kernel,
  clock: systemClock,
  createResolver: () => new NativeResolver(),
  openTls,
  inflateProvider,
  files: nativeFiles,
  debug: process.env['SOCKMUX_DEBUG'] === '1',
}
