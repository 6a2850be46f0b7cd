/**
 * A Multi in GLib's main loop, and so in GTK. Copy `plugIntoGlib`: one source per descriptor, one timeout source, and
 * what became ready goes to `socketAction`. The C library is called through koffi; in C it would be the same lines.
 */
import koffi from 'koffi'
import { Interest, type Multi, Readiness, SOCKET_TIMEOUT } from 'sockmux' // in your program: from 'sockmux'
import { demonstrate, isMain } from './demonstration.ts'
import { loadLibrary, type Pointer } from './library.ts'
import type { Loop } from './loop.ts'

export function plugIntoGlib(multi: Multi, glib: Glib = loadGlib()): Loop {
  const sources = new Map<number, number>()
  let timer = 0
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
  const onReady = koffi.register((fd: number, condition: number) => {
    const readable = condition & (G_IO_IN | G_IO_HUP) ? Readiness.READABLE : 0
    const writable = condition & G_IO_OUT ? Readiness.WRITABLE : 0
    act(fd, readable | writable | (condition & G_IO_ERR ? Readiness.ERROR : 0))
    return G_SOURCE_CONTINUE
  }, FD_CALLBACK)
  const onTimeout = koffi.register(() => {
    timer = 0 // this source ends by what is returned; socketAction may ask for a new one
    act(SOCKET_TIMEOUT)
    return G_SOURCE_REMOVE
  }, TIMEOUT_CALLBACK)

  multi.setSocketFunction((fd, interest) => {
    const old = sources.get(fd)
    if (old !== undefined) glib.g_source_remove(old)
    sources.delete(fd)
    if (interest === Interest.REMOVE || interest === Interest.NONE) return
    const condition = (interest & Interest.READABLE ? G_IO_IN : 0) | (interest & Interest.WRITABLE ? G_IO_OUT : 0)
    sources.set(fd, glib.g_unix_fd_add_full(G_PRIORITY_DEFAULT, fd, condition, onReady, null, null))
  })
  // The priority of the descriptors: a higher one would keep them waiting while the timer is due again and again.
  multi.setTimerFunction((timeoutMs) => {
    if (timer !== 0) glib.g_source_remove(timer)
    timer = timeoutMs < 0 ? 0 : glib.g_timeout_add_full(G_PRIORITY_DEFAULT, timeoutMs, onTimeout, null, null)
  })

  return {
    name: `GLib ${glib.version}`,
    get iterations() {
      return iterations
    },
    // A program that has a loop already calls g_main_loop_run; here the turns are counted.
    run() {
      for (; multi.active; iterations++) {
        glib.g_main_context_iteration(null, 1)
        if (failure !== null) throw failure.error
      }
    },
    close() {
      // The old functions hear REMOVE for each descriptor and -1, which removes their sources.
      multi.setSocketFunction(null)
      multi.setTimerFunction(null)
      koffi.unregister(onReady)
      koffi.unregister(onTimeout)
    },
  }
}

const G_IO_IN = 1
const G_IO_OUT = 4
const G_IO_ERR = 8
const G_IO_HUP = 16
const G_PRIORITY_DEFAULT = 0
const G_SOURCE_REMOVE = 0
const G_SOURCE_CONTINUE = 1
const FD_CALLBACK = koffi.pointer(koffi.proto('int (int fd, int condition, void *argument)'))
const TIMEOUT_CALLBACK = koffi.pointer(koffi.proto('int (void *argument)'))

export const GLIB = { file: 'libglib-2.0.so.0', packages: 'libglib2.0-0 (libglib2.0-0t64 since Debian 13)' }

/** The part of glib.h and glib-unix.h that is needed. */
export interface Glib {
  readonly version: string
  g_main_context_iteration(context: null, mayBlock: number): number
  g_unix_fd_add_full(
    priority: number,
    fd: number,
    condition: number,
    callback: Pointer,
    argument: null,
    notify: null,
  ): number
  g_timeout_add_full(priority: number, timeoutMs: number, callback: Pointer, argument: null, notify: null): number
  g_source_remove(id: number): number
}

/** Throws MissingLibrary when there is none. */
export function loadGlib(file: string = GLIB.file): Glib {
  const library = loadLibrary(file, GLIB.packages)
  const version = ['major', 'minor', 'micro'].map((part) =>
    koffi.decode(library.symbol(`glib_${part}_version`), 'unsigned int'),
  )
  const fdAdd = ['int', 'int', 'int', FD_CALLBACK, 'void *', 'void *']
  const timeoutAdd = ['int', 'unsigned int', TIMEOUT_CALLBACK, 'void *', 'void *']
  return {
    version: version.join('.'),
    g_main_context_iteration: library.func('g_main_context_iteration', 'int', ['void *', 'int']),
    g_unix_fd_add_full: library.func('g_unix_fd_add_full', 'unsigned int', fdAdd),
    g_timeout_add_full: library.func('g_timeout_add_full', 'unsigned int', timeoutAdd),
    g_source_remove: library.func('g_source_remove', 'int', ['unsigned int']),
  }
}

if (isMain(import.meta.url)) {
  await demonstrate({
    script: 'glib.js',
    option: { name: 'library', value: 'FILE', text: `another GLib than ${GLIB.file}` },
    plug: (multi, file) => plugIntoGlib(multi, loadGlib(file)),
  })
}
