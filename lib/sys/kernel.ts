/**
 * The system calls as a contract: non-blocking verbs without policy. A verb returns a result ≥ 0, or -errno; it never
 * throws for what the operating system answers, only for arguments of the wrong type. `-errno` is compared with the
 * kernel's own `errno` table, so no number of a platform is written in TypeScript. Bytes move through buffers that the
 * kernel allocated (`allocate`), named by a small integer id and an offset. Implementations: `native.ts` over the
 * addon, and the seeded kernel of `test/sim/`.
 */

/** Address families. Numbers are ours; each kernel translates them. */
export const Family = { UNIX: 1, IPV4: 4, IPV6: 6 } as const
export type Family = (typeof Family)[keyof typeof Family]

/** Socket options. Numbers are ours; values are integers (booleans as 0 and 1, times in seconds unless said). */
export const SocketOption = {
  /** SO_ERROR: reading returns the pending errno as a positive number, 0 when there is none, and clears it. */
  ERROR: 1,
  REUSE_ADDRESS: 2,
  REUSE_PORT: 3,
  /** TCP_NODELAY. */
  NO_DELAY: 4,
  /** SO_KEEPALIVE. */
  KEEP_ALIVE: 5,
  KEEP_ALIVE_IDLE: 6,
  KEEP_ALIVE_INTERVAL: 7,
  KEEP_ALIVE_COUNT: 8,
  /** SO_LINGER: -1 off; n ≥ 0 seconds. 0 makes close send RST. */
  LINGER: 9,
  /** IPV6_V6ONLY. */
  V6_ONLY: 10,
  SEND_BUFFER: 11,
  RECEIVE_BUFFER: 12,
  /** SO_ACCEPTCONN: reading returns 1 for a listening socket. */
  ACCEPTING: 13,
  DEFER_ACCEPT: 14,
  /** TCP_FASTOPEN: queue length of a listener. */
  FAST_OPEN: 15,
  /** TCP_CORK, or TCP_NOPUSH. */
  CORK: 16,
} as const
export type SocketOption = (typeof SocketOption)[keyof typeof SocketOption]

export interface SocketAddress {
  readonly family: Family
  /**
   * IP address in text (with %scope for link-local IPv6), or the path of a unix socket ('\0name' when abstract, ''
   * unnamed).
   */
  readonly address: string
  /** 0 for unix sockets. */
  readonly port: number
}

/** A file by its path; symbolic links are not followed. */
export interface FileIdentity {
  /** Device and inode: the same for the same file, and for no other as long as that exists. */
  readonly id: string
  /** Permission bits. */
  readonly mode: number
  readonly isSocket: boolean
}

/** Who connected a unix socket, or listened on it, as the system knows them. -1 where it does not tell. */
export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/** Memory that the kernel reads and writes without a crossing per byte. `bytes` is a view of all of it. */
export interface RegisteredBuffer {
  readonly id: number
  readonly bytes: Uint8Array
}

/** Names of the errno values that the library looks at or that users may compare. */
export const ERRNO_NAMES = [
  'EPERM', 'ENOENT', 'EINTR', 'EIO', 'EBADF', 'EAGAIN', 'ENOMEM', 'EACCES', 'EFAULT', 'EBUSY', 'EEXIST', 'EXDEV',
  'ENODEV', 'ENOTDIR', 'EISDIR', 'EINVAL', 'ENFILE', 'EMFILE', 'EFBIG', 'ENOSPC', 'ESPIPE', 'EROFS', 'EPIPE', 'ERANGE',
  'ENAMETOOLONG', 'ENOSYS', 'ELOOP', 'EPROTO', 'EOVERFLOW', 'ENOTSOCK', 'EDESTADDRREQ', 'EMSGSIZE', 'EPROTOTYPE',
  'ENOPROTOOPT', 'EPROTONOSUPPORT', 'EOPNOTSUPP', 'EAFNOSUPPORT', 'EADDRINUSE', 'EADDRNOTAVAIL', 'ENETDOWN',
  'ENETUNREACH', 'ENETRESET', 'ECONNABORTED', 'ECONNRESET', 'ENOBUFS', 'EISCONN', 'ENOTCONN', 'ETIMEDOUT',
  'ECONNREFUSED', 'EHOSTDOWN', 'EHOSTUNREACH', 'EALREADY', 'EINPROGRESS', 'ESTALE', 'ECANCELED',
] as const // biome-ignore format: a table
export type ErrnoName = (typeof ERRNO_NAMES)[number]
/** Positive errno values of this platform (0 where the platform has no such error). */
export type ErrnoTable = Readonly<Record<ErrnoName, number>>

/** Integers per operation of the batched verbs: [fd, offset, length, result]. */
export const BATCH_STRIDE = 4
/** Integers per entry of `poll`: [fd, interest, readiness]. */
export const POLL_STRIDE = 3
/** Integers per entry of `writev`: [buffer id, offset, length]. */
export const SEGMENT_STRIDE = 3

export interface Kernel {
  readonly errno: ErrnoTable

  /**
   * Zero-filled memory that the kernel owns; it outlives `release` as long as a view of it is reachable. Throws
   * RangeError when length is not 1…2^30.
   */
  allocate(length: number): RegisteredBuffer
  release(bufferId: number): void

  /** The current generation (> 0) of a descriptor this thread owns, or -EBADF. */
  generation(fd: number): number
  /**
   * Take ownership of a foreign descriptor; sets O_NONBLOCK and FD_CLOEXEC. Its generation, or -errno; on failure the
   * descriptor stays the caller's.
   */
  adopt(fd: number): number
  /** Gives a descriptor up without closing it: it is nobody's again. 0, -EBADF, or -ESTALE. */
  disown(fd: number, generation: number): number
  /**
   * Puts a descriptor on its way to another owner, in this thread or in another: no verb reaches it until it is claimed
   * or withdrawn, and it is still closed with this thread. The generation that names it meanwhile, or -errno.
   */
  offer(fd: number): number
  /** Takes an offered descriptor, from whatever thread; only the first does. Its new generation, or -ESTALE. */
  claim(fd: number, generation: number): number
  /** Takes back what was offered here. Its new generation, or -ESTALE when somebody has claimed it. */
  withdraw(fd: number, generation: number): number
  /**
   * Closes. With a generation, -ESTALE when the descriptor was closed and reused since. A descriptor that is not owned:
   * -EBADF.
   */
  close(fd: number, generation?: number): number

  /** pair[0] reads, pair[1] writes. */
  pipe(pair: Int32Array): number
  /** A connected pair of unix stream sockets. */
  socketPair(pair: Int32Array): number
  /** A stream socket, non-blocking and close-on-exec from birth. */
  socket(family: Family): number
  setOption(fd: number, option: SocketOption, value: number): number
  getOption(fd: number, option: SocketOption): number
  bind(fd: number, family: Family, address: string, port: number): number
  /**
   * Packets of this socket go through that network device ('eth0') only. -EPERM where it is not allowed, -ENOPROTOOPT
   * where the platform cannot.
   */
  bindToDevice(fd: number, device: string): number
  /** The IP addresses of a network device, port 0; none when there is no such device. */
  deviceAddresses(device: string): readonly SocketAddress[]
  listen(fd: number, backlog: number): number
  /** The new descriptor, non-blocking and close-on-exec, or -errno. */
  accept(fd: number): number
  /** 0 connected, -EINPROGRESS under way (write readiness, then SocketOption.ERROR), else -errno. */
  connect(fd: number, family: Family, address: string, port: number): number
  /** The address, or -errno as a number. */
  localAddress(fd: number): SocketAddress | number
  peerAddress(fd: number): SocketAddress | number
  /** Of a unix socket. */
  peerCredentials(fd: number): PeerCredentials | number

  // The files of unix sockets

  /** Permission bits of what is behind a descriptor; before bind, those of the file to come, less umask. */
  setMode(fd: number, mode: number): number
  setPathMode(path: string, mode: number): number
  fileIdentity(path: string): FileIdentity | number
  unlink(path: string): number
  /**
   * A descriptor that holds an exclusive lock on this file, made if it is not there; -EAGAIN when somebody else has it.
   * Whoever has it may unlink the file, and then closes the descriptor.
   */
  lockFile(path: string): number

  /** Bytes received, 0 at the end of the stream, or -errno. EINTR is retried inside. */
  recv(fd: number, bufferId: number, offset: number, length: number): number
  /** As recv, leaving the bytes in the socket. */
  peek(fd: number, bufferId: number, offset: number, length: number): number
  /** Never raises SIGPIPE. */
  send(fd: number, bufferId: number, offset: number, length: number): number
  /** As send, from any bytes: for large bodies that need no copy into a registered buffer. */
  sendBytes(fd: number, bytes: Uint8Array, offset: number, length: number): number
  /**
   * As sendBytes, from several pieces in one call: those from `first` on, without the `sent` bytes of that one that are
   * gone already. At most 64 of them; the result may end inside any.
   */
  sendPieces(fd: number, pieces: readonly Uint8Array[], first: number, sent: number): number
  read(fd: number, bufferId: number, offset: number, length: number): number
  write(fd: number, bufferId: number, offset: number, length: number): number
  /** Gathered send of `count` segments ([buffer id, offset, length] each, at most 1024). */
  writev(fd: number, segments: Int32Array, count: number): number
  /** File to socket inside the kernel; position ≥ 0. Bytes sent or -errno. */
  sendfile(fd: number, fileFd: number, position: number, length: number): number
  /**
   * One crossing for many reads: operations are [fd, offset, length, result]; each result is filled in. Returns how
   * many results are ≥ 0.
   */
  readBatch(bufferId: number, operations: Int32Array, count: number): number
  writeBatch(bufferId: number, operations: Int32Array, count: number): number
  recvBatch(bufferId: number, operations: Int32Array, count: number): number
  sendBatch(bufferId: number, operations: Int32Array, count: number): number
  /** FIN to the peer; reading goes on. */
  shutdownWrite(fd: number): number

  /**
   * poll(2) over [fd, interest, readiness] triples; fills each readiness; returns how many are non-zero (0 after a
   * signal too), or -errno. timeoutMs -1 waits for ever.
   */
  poll(entries: Int32Array, count: number, timeoutMs: number): number

  /** How many descriptors this process may have open at present (RLIMIT_NOFILE), or -errno. */
  descriptorLimit(): number
  /** A descriptor that becomes readable when woken (eventfd or pipe). */
  openWakeup(): number
  /** From any thread: wakes whoever watches that descriptor. -ESTALE when it is gone. */
  wake(fd: number, generation: number): number
  /** 1 when it had been woken (now cleared), 0 when not, or -errno. */
  clearWakeup(fd: number): number
}
