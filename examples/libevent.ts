/**
 * A Multi in libevent. Copy `plugIntoLibevent`: one struct event per descriptor, one for the timer, and what became
 * ready goes to `socketAction`. The C library is called through koffi; in C it would be the same lines.
 */
import koffi from 'koffi'
import { Interest, type Multi, Readiness, SOCKET_TIMEOUT } from 'sockmux' // in your program: from 'sockmux'
import { demonstrate, isMain } from './demonstration.ts'
import { loadLibrary, type Pointer } from './library.ts'
import type { Loop } from './loop.ts'

export function plugIntoLibevent(multi: Multi, libevent: Libevent = loadLibevent()): Loop {
  const base = libevent.event_base_new()
  const events = new Map<number, Pointer>()
  let iterations = 0
  // An exception must not cross C: it is kept, and thrown by `run`.
  let failure: { error: unknown } | null = null
  const act = (fd: number, readiness = 0): void => {
    try {
      multi.socketAction(fd, readiness)
    } catch (error) {
      failure ??= { error }
    }
  }
  const onReady = koffi.register((fd: number, what: number) => {
    act(fd, (what & EV_READ ? Readiness.READABLE : 0) | (what & EV_WRITE ? Readiness.WRITABLE : 0))
  }, EVENT_CALLBACK)
  const onTimeout = koffi.register(() => act(SOCKET_TIMEOUT), EVENT_CALLBACK)
  const timer = libevent.event_new(base, -1, 0, onTimeout, null)

  multi.setSocketFunction((fd, interest) => {
    const old = events.get(fd)
    if (old !== undefined) libevent.event_free(old)
    events.delete(fd)
    if (interest === Interest.REMOVE || interest === Interest.NONE) return
    const flags = (interest & Interest.READABLE ? EV_READ : 0) | (interest & Interest.WRITABLE ? EV_WRITE : 0)
    const event = libevent.event_new(base, fd, flags | EV_PERSIST, onReady, null)
    libevent.event_add(event, null)
    events.set(fd, event)
  })
  // 0 ms fires in the next turn of the loop, so `socketAction` is never called from inside this function.
  multi.setTimerFunction((timeoutMs) => {
    if (timeoutMs < 0) libevent.event_del(timer)
    else libevent.event_add(timer, { tv_sec: Math.floor(timeoutMs / 1000), tv_usec: (timeoutMs % 1000) * 1000 })
  })

  return {
    name: `libevent ${libevent.event_get_version()} (${libevent.event_base_get_method(base)})`,
    get iterations() {
      return iterations
    },
    // A program that has a loop already calls event_base_dispatch; here the turns are counted.
    run() {
      for (; multi.active; iterations++) {
        libevent.event_base_loop(base, EVLOOP_ONCE)
        if (failure !== null) throw failure.error
      }
    },
    close() {
      // The old functions hear REMOVE for each descriptor and -1, which frees their events.
      multi.setSocketFunction(null)
      multi.setTimerFunction(null)
      libevent.event_free(timer)
      libevent.event_base_free(base)
      koffi.unregister(onReady)
      koffi.unregister(onTimeout)
    },
  }
}

const EV_READ = 0x02
const EV_WRITE = 0x04
const EV_PERSIST = 0x10
const EVLOOP_ONCE = 0x01
const EVENT_CALLBACK = koffi.pointer(koffi.proto('void (int fd, short what, void *argument)'))
const TIMEVAL = koffi.pointer(koffi.struct({ tv_sec: 'long', tv_usec: 'long' }))

export const LIBEVENT = { file: 'libevent-2.1.so.7', packages: 'libevent-2.1-7 (libevent-2.1-7t64 since Debian 13)' }

/** The part of event2/event.h that is needed. */
export interface Libevent {
  event_get_version(): string
  event_base_new(): Pointer
  event_base_get_method(base: Pointer): string
  event_base_loop(base: Pointer, flags: number): number
  event_base_free(base: Pointer): void
  event_new(base: Pointer, fd: number, events: number, callback: Pointer, argument: null): Pointer
  event_add(event: Pointer, timeout: { tv_sec: number; tv_usec: number } | null): number
  event_del(event: Pointer): number
  event_free(event: Pointer): void
}

/** Throws MissingLibrary when there is none. */
export function loadLibevent(file: string = LIBEVENT.file): Libevent {
  const library = loadLibrary(file, LIBEVENT.packages)
  return {
    event_get_version: library.func('event_get_version', 'str', []),
    event_base_new: library.func('event_base_new', 'void *', []),
    event_base_get_method: library.func('event_base_get_method', 'str', ['void *']),
    event_base_loop: library.func('event_base_loop', 'int', ['void *', 'int']),
    event_base_free: library.func('event_base_free', 'void', ['void *']),
    event_new: library.func('event_new', 'void *', ['void *', 'int', 'short', EVENT_CALLBACK, 'void *']),
    event_add: library.func('event_add', 'int', ['void *', TIMEVAL]),
    event_del: library.func('event_del', 'int', ['void *']),
    event_free: library.func('event_free', 'void', ['void *']),
  }
}

if (isMain(import.meta.url)) {
  await demonstrate({
    script: 'libevent.js',
    option: { name: 'library', value: 'FILE', text: `another libevent than ${LIBEVENT.file}` },
    plug: (multi, file) => plugIntoLibevent(multi, loadLibevent(file)),
  })
}
