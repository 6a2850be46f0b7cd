/**
 * The bytes of a connection as users move them: by callbacks, by calls, or by awaiting them. It belongs to connections
 * whose bytes go to the program; where a protocol moves them, everything here throws. Callbacks may be set from the
 * moment the connection is known; none is called from inside a verb.
 */
import { isDuration, isFunctionOrNull, wrongRange, wrongType } from '../../base/options.ts'
import type { WOULD_BLOCK } from '../../sys/readiness.ts'
import { withinEngine } from '../within-engine.ts'
import type { ByteCallback, ByteDriver, CloseCallback, DataCallback } from './byte-driver.ts'
import { StreamSession } from './stream-session.ts'

export const pipe: unique symbol = Symbol('pipe')

export abstract class ByteFace<Subject extends object> {
  /** @internal The driver; throws a MultiError that names the verb when a protocol moves the bytes. */
  abstract [pipe](name: string): ByteDriver<Subject>

  /** There is something to read, or the end. Called again only when something was read meanwhile. */
  get onReadable(): ByteCallback<Subject> | null {
    return this[pipe]('onReadable').onReadable
  }

  set onReadable(callback: ByteCallback<Subject> | null) {
    isFunctionOrNull('onReadable', callback)
    this.#setCallback('onReadable', (bytes) => {
      bytes.onReadable = callback
    })
  }

  /** Each piece as it comes, a view that is good until the callback returns; instead of `onReadable`. */
  get onData(): DataCallback<Subject> | null {
    return this[pipe]('onData').onData
  }

  set onData(callback: DataCallback<Subject> | null) {
    isFunctionOrNull('onData', callback)
    this.#setCallback('onData', (bytes) => {
      bytes.onData = callback
    })
  }

  /** After `write` answered false: everything has gone to the system. */
  get onWritable(): ByteCallback<Subject> | null {
    return this[pipe]('onWritable').onWritable
  }

  set onWritable(callback: ByteCallback<Subject> | null) {
    isFunctionOrNull('onWritable', callback)
    this[pipe]('onWritable').onWritable = callback
  }

  /** The peer sends no more. Without it the connection is closed then, once what was written is sent. */
  get onEnd(): ByteCallback<Subject> | null {
    return this[pipe]('onEnd').onEnd
  }

  set onEnd(callback: ByteCallback<Subject> | null) {
    isFunctionOrNull('onEnd', callback)
    this[pipe]('onEnd').onEnd = callback
  }

  /** Nothing moved for too long: it is closed unless the callback calls `extend`. */
  get onTimeout(): ByteCallback<Subject> | null {
    return this[pipe]('onTimeout').onTimeout
  }

  set onTimeout(callback: ByteCallback<Subject> | null) {
    isFunctionOrNull('onTimeout', callback)
    this[pipe]('onTimeout').onTimeout = callback
  }

  /** The server takes leave: come to an end soon. */
  get onDrain(): ByteCallback<Subject> | null {
    return this[pipe]('onDrain').onDrain
  }

  set onDrain(callback: ByteCallback<Subject> | null) {
    isFunctionOrNull('onDrain', callback)
    this[pipe]('onDrain').onDrain = callback
  }

  /** The last callback: the descriptor is closed. Not called when the Multi is closed. */
  get onClose(): CloseCallback<Subject> | null {
    return this[pipe]('onClose').onClose
  }

  set onClose(callback: CloseCallback<Subject> | null) {
    isFunctionOrNull('onClose', callback)
    this[pipe]('onClose').onClose = callback
  }

  // Bytes

  /** Bytes copied into that memory, 0 at the end, or WOULD_BLOCK; the latter too when the connection broke. */
  read(into: Uint8Array): number {
    if (!(into instanceof Uint8Array)) throw wrongType('into', 'a Uint8Array', into)
    const bytes = this[pipe]('read')
    if (bytes.isOver) return 0
    return withinEngine(bytes.host, 'read', () => bytes.read(into))
  }

  /** As `read`, without a copy: a view that is good until the callback returns, or anything else is read. */
  readView(lengthMax = Number.POSITIVE_INFINITY): Uint8Array | 0 | typeof WOULD_BLOCK {
    if (!(lengthMax >= 1)) throw wrongRange('lengthMax', 'at least 1', lengthMax)
    const bytes = this[pipe]('readView')
    if (bytes.isOver) return 0
    return withinEngine(bytes.host, 'readView', () => bytes.view(Math.floor(lengthMax)))
  }

  /** Puts bytes back, to be read next or to go along with `detach`. They are copied. */
  unread(bytes: Uint8Array): void {
    if (!(bytes instanceof Uint8Array)) throw wrongType('bytes', 'a Uint8Array', bytes)
    this.#do('unread', (pipe) => pipe.unread(bytes))
  }

  /**
   * Takes all of it, and answers whether to go on: false when more waits than the mark (64 KiB); `onWritable` follows.
   * The bytes are yours again at once. Text is sent as UTF-8. What is written inside a callback leaves when it returns.
   */
  write(bytes: Uint8Array | string): boolean {
    const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    if (!(content instanceof Uint8Array)) throw wrongType('bytes', 'a Uint8Array or a string', bytes)
    const driver = this[pipe]('write')
    if (driver.isOver) return false
    const atOnce = !driver.host.isInside
    return withinEngine(driver.host, 'write', () => driver.write(content, atOnce))
  }

  /** Bytes that were written and that the system has not taken. */
  get writableLength(): number {
    return this[pipe]('writableLength').writableLength
  }

  get isPaused(): boolean {
    return this[pipe]('isPaused').isPaused
  }

  /** Neither `onReadable` nor `onData` is called, and being idle is no offence, until `resume`. Writing goes on. */
  pause(): void {
    this.#do('pause', (bytes) => bytes.pause())
  }

  resume(): void {
    this.#do('resume', (bytes) => bytes.resume())
  }

  /** What is written waits, to leave in one piece with `uncork`. */
  cork(): void {
    this.#do('cork', (bytes) => bytes.cork())
  }

  uncork(): void {
    this.#do('uncork', (bytes) => bytes.uncork())
  }

  /** No more bytes from here: FIN, once what was written is sent. Reading goes on. */
  shutdownWrite(): void {
    this.#do('shutdownWrite', (bytes) => bytes.shutdownWrite())
  }

  /** 0: no limit. */
  get idleTimeoutMs(): number {
    return this[pipe]('idleTimeoutMs').idleTimeoutMs
  }

  set idleTimeoutMs(milliseconds: number) {
    isDuration('idleTimeoutMs', milliseconds)
    this.#do('idleTimeoutMs', (bytes) => {
      bytes.idleTimeoutMs = milliseconds
      bytes.wake()
    })
  }

  // The await style

  /** The next bytes, yours to keep, or null at the end. One at a time. Rejects when the connection breaks. */
  receive(): Promise<Uint8Array | null> {
    return this.#session('receive').receive()
  }

  /** Resolves when less than the mark waits to be sent; the bytes are yours again at once. */
  send(bytes: Uint8Array | string): Promise<void> {
    const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    if (!(content instanceof Uint8Array)) throw wrongType('bytes', 'a Uint8Array or a string', bytes)
    return this.#session('send').send(content)
  }

  /** What the peer sends, piece by piece. Leaving the loop does not close the connection. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    const session = this.#session('iterate')
    return {
      next: async () => {
        const value = await session.receive()
        return value === null ? { done: true, value: undefined } : { done: false, value }
      },
    }
  }

  #session(name: string): StreamSession {
    const bytes = this[pipe](name)
    bytes.session ??= new StreamSession(bytes)
    return bytes.session as StreamSession
  }

  #setCallback(name: string, set: (bytes: ByteDriver<Subject>) => void): void {
    this.#do(name, (bytes) => {
      set(bytes)
      bytes.heed()
    })
  }

  #do(name: string, verb: (bytes: ByteDriver<Subject>) => void): void {
    const bytes = this[pipe](name)
    if (!bytes.isOver) withinEngine(bytes.host, name, () => verb(bytes))
  }
}
