/** What the compiler must accept and refuse of the public API. Nothing here runs. */
import {
  type AcceptError,
  attachToNodeLoop,
  type Clock,
  type Connection,
  type DrainReport,
  type HeaderList,
  Interest,
  isClosing,
  type Kernel,
  kernel,
  Listener,
  type ListenFd,
  type ListenHandle,
  listenFds,
  type Message,
  Multi,
  type MultiCodeName,
  MultiError,
  type MultiOptions,
  type MultiStats,
  type MultiSubject,
  type NodeLoopAttachment,
  PAUSE,
  Poller,
  type PollerLike,
  type PollFd,
  type Progress,
  Readiness,
  type Resolver,
  type ResponseHead,
  readSync,
  runPollLoop,
  ServerGroup,
  SOCKET_TIMEOUT,
  type SocketAddress,
  SystemError,
  serveHandover,
  Transfer,
  TransferCode,
  type TransferCodeName,
  TransferError,
  type TransferInfo,
  type TransferOptions,
  takeOver,
  WOULD_BLOCK,
  type WorkerChange,
  writeSync,
} from '../../lib/index.ts'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_isSame: Same<A, B>): void {}

export function multiOptions(clock: Clock, itsKernel: Kernel, resolver: Resolver): void {
  new Multi()
  new Multi({})
  new Multi({ kernel: itsKernel, clock, resolver, debug: true })
  new Multi({
    socketFunction(fd, interest, socketData, subject) {
      same<typeof fd, number>(true)
      same<typeof interest, number>(true)
      same<typeof socketData, unknown>(true)
      same<typeof subject, MultiSubject | null>(true)
    },
    timerFunction(timeoutMs) {
      same<typeof timeoutMs, number>(true)
      return -1
    },
    notifyFunction(kind) {
      same<typeof kind, 'message' | 'done'>(true)
    },
    maxIdleConnections: 1,
    watchIdleConnections: false,
  })
  new Multi({ socketFunction: null, timerFunction: null })
  // @ts-expect-error an unknown key
  new Multi({ maxConnects: 5 })
  // @ts-expect-error not a number
  new Multi({ maxHostConnections: '5' })
  // @ts-expect-error a timer function that returns what means nothing
  new Multi({ timerFunction: () => 5 })
  // @ts-expect-error a promise is no answer: the engine waits for nobody
  new Multi({ socketFunction: async () => {} })
  // @ts-expect-error undefined is not an option's value
  const options: MultiOptions = { maxIdleConnections: undefined }
  void options
}

export function multiCalls(multi: Multi, transfer: Transfer): void {
  same<ReturnType<Multi['socketAction']>, number>(true)
  same<ReturnType<Multi['infoRead']>, Message | undefined>(true)
  same<Multi['stats'], MultiStats>(true)
  same<Multi['transfers'], Transfer[]>(true)
  multi.socketAction(SOCKET_TIMEOUT)
  multi.socketAction(3, Readiness.READABLE | Readiness.ERROR)
  multi.socketActionBatch(new Poller().ready, 5)
  const fds: PollFd[] = multi.waitFds()
  multi.poll(-1, fds)
  multi.assign(3, { anything: true })
  multi.add(transfer)
  // @ts-expect-error not a transfer
  multi.add({ url: 'http://x.test/' })
  // @ts-expect-error an array is not an Int32Array
  multi.socketActionBatch([3, 1], 1)
  // @ts-expect-error there is no way to set it
  multi.running = 5
  // @ts-expect-error nor here
  multi.stats.added = 5
  // @ts-expect-error a Multi can be closed, not destroyed
  multi.destroy()
}

export function messages(multi: Multi): void {
  for (let m = multi.infoRead(); m !== undefined; m = multi.infoRead()) {
    same<typeof m.kind, 'done'>(true)
    same<typeof m.transfer, Transfer>(true)
    same<typeof m.transfer.info.effectiveUrl, string>(true)
    same<typeof m.transfer.info, TransferInfo>(true)
    same<typeof m.code, TransferCode>(true)
    if (m.code === TransferCode.OPERATION_TIMEDOUT) return
    if (m.error !== null) {
      same<typeof m.error, TransferError>(true)
      same<typeof m.error.code, TransferCodeName>(true)
      same<typeof m.error.number, TransferCode>(true)
      same<typeof m.error.syscall, string | undefined>(true)
      const { cause } = m.error
      same<typeof cause, unknown>(true)
    }
    // @ts-expect-error no curl code has this number
    if (m.code === 1234) return
    // @ts-expect-error nobody is called that
    if (m.error?.code === 'TIMED_OUT') return
  }
  // @ts-expect-error it may be undefined
  multi.infoRead().code
}

export function transferOptions(): void {
  new Transfer({ url: 'http://x.test/' })
  new Transfer({ url: 'http://x.test/', body: 'x', headers: { a: 'b', c: ['d', 'e'], accept: null } })
  new Transfer({ url: 'http://x.test/', headers: [['a', 'b']] })
  new Transfer({ url: 'http://x.test/', headers: new Map([['a', 'b']]) })
  new Transfer({ url: 'http://x.test/', body: (bytesMax) => (bytesMax > 5 ? new Uint8Array(5) : null) })
  new Transfer({ url: 'http://x.test/', body: () => PAUSE })
  new Transfer({
    url: 'http://x.test/',
    onHead: (head) => {
      same<typeof head, ResponseHead>(true)
      same<typeof head.headers, HeaderList>(true)
    },
    onData: (chunk) => same<typeof chunk, Uint8Array>(true),
    onTrailers: (trailers) => same<typeof trailers, HeaderList>(true),
    onProgress: (progress) => same<typeof progress, Progress>(true),
    onDebug: (kind, content) => {
      same<typeof content, string | Uint8Array>(true)
      // @ts-expect-error there is no such kind
      if (kind === 'header') return
    },
  })
  // @ts-expect-error the url is missing
  new Transfer({ method: 'GET' })
  // @ts-expect-error an unknown key
  new Transfer({ url: 'http://x.test/', timeout: 5 })
  // @ts-expect-error curl's spelling
  new Transfer({ url: 'http://x.test/', TIMEOUT_MS: 5 })
  // @ts-expect-error a number is no body
  new Transfer({ url: 'http://x.test/', body: 5 })
  // @ts-expect-error a callback gives bytes, text, null or PAUSE
  new Transfer({ url: 'http://x.test/', body: () => 5 })
  // @ts-expect-error nor a promise
  new Transfer({ url: 'http://x.test/', body: async () => null })
  // @ts-expect-error 4 or 6
  new Transfer({ url: 'http://x.test/', ipVersion: 5 })
  // @ts-expect-error header values are text
  new Transfer({ url: 'http://x.test/', headers: { a: 5 } })
  const options: TransferOptions = { url: 'http://x.test/' }
  new Transfer(options)
}

export function transferCalls(transfer: Transfer): void {
  transfer.pause()
  transfer.pause('receive')
  transfer.resume('both')
  const copy: Transfer = transfer.clone({ url: 'http://y.test/' })
  copy.data = { mine: true }
  same<typeof transfer.data, unknown>(true)
  const sent: number = transfer.send(new Uint8Array(5))
  if (sent === WOULD_BLOCK) return
  // @ts-expect-error a direction that is none
  transfer.pause('up')
  // @ts-expect-error its result is not the user's to set
  transfer.info = copy.info
  // @ts-expect-error unknown keys of a clone
  transfer.clone({ uri: 'http://y.test/' })
  // @ts-expect-error text must be made bytes first
  transfer.send('x')
}

export function loops(multi: Multi): number {
  const attachment: NodeLoopAttachment = attachToNodeLoop(multi)
  attachment.detach()
  const poller = new Poller({ backend: 'epoll', capacity: 5 })
  const like: PollerLike = poller
  like.modify(3, Interest.READABLE_WRITABLE)
  poller.add(3, Interest.READABLE, { edgeTriggered: true })
  same<typeof poller.ready, Int32Array>(true)
  // @ts-expect-error no such backend
  new Poller({ backend: 'select' })
  // @ts-expect-error the descriptor is not the user's to set
  poller.fd = 5
  // @ts-expect-error no such option
  runPollLoop(multi, { timeout: 5 })
  // @ts-expect-error a loop needs its Multi
  runPollLoop()
  return runPollLoop(multi, { until: () => true, backend: 'poll', maxWaitMs: 5 })
}

export function listeners(multi: Multi): ListenFd[] {
  const listener = new Listener(multi, { port: 0 }, (connection, itself) => {
    same<typeof connection, Connection>(true)
    same<typeof itself, Listener>(true)
  })
  listener.onAccept = null
  listener.onError = (error) => same<typeof error, AcceptError>(true)
  same<typeof listener.address, SocketAddress>(true)
  const handle: ListenHandle = listener.release()
  using next = new Listener(multi, { fd: handle, backlog: 0 })
  next.disable()
  // @ts-expect-error no such option
  new Listener(multi, { prot: 80 })
  // @ts-expect-error a listener runs on a Multi
  new Listener({}, { port: 0 })
  // @ts-expect-error where it listens is not the user's to set
  next.address = null
  return listenFds({ unsetEnvironment: false })
}

export async function groups(): Promise<void> {
  const group = await ServerGroup.start<{ greeting: string }>({
    module: new URL('file:///greeter.js'),
    workers: { min: 1, max: 2 },
    share: 'handoff',
    pick: (peer, bytes) => {
      same<typeof peer, SocketAddress>(true)
      same<typeof bytes, Uint8Array>(true)
      return bytes.length > 0 ? 1 : undefined
    },
    onWorker: ({ kind }) => same<typeof kind, WorkerChange['kind']>(true),
    data: { greeting: 'hello' },
  })
  await group.setData({ greeting: 'good-bye' })
  const result = await group.exclusive(() => 5)
  same<typeof result, number>(true)
  const handover = serveHandover(group, {
    path: '/run/greeter.sock',
    previous: takeOver({ path: '/run/greeter.sock' }),
  })
  const report = await handover.done
  same<typeof report, DrainReport | null>(true)
  // @ts-expect-error no such way to share
  await ServerGroup.start({ module: '/greeter.js', share: 'fairly' })
  // @ts-expect-error of another type
  await group.setData(5)
  // @ts-expect-error a group is started by `start`
  new ServerGroup({ module: '/greeter.js' })
}

export function blocking(connection: Connection): void {
  const bytes = readSync(connection, { lengthMax: 10, timeoutMs: 5 })
  same<typeof bytes, Uint8Array | null>(true)
  if (!isClosing()) writeSync(connection, bytes ?? 'nothing')
  // @ts-expect-error not a connection
  readSync({})
}

export function errors(error: unknown): void {
  if (error instanceof MultiError) same<typeof error.code, MultiCodeName>(true)
  if (error instanceof SystemError) same<typeof error.errno, number>(true)
  if (error instanceof TransferError) same<typeof error.code, TransferCodeName>(true)
  // @ts-expect-error no such code
  new MultiError('OK', 'text')
  // @ts-expect-error the table is fixed
  TransferCode.OK = 1
}

export function disposal(): void {
  using multi = new Multi()
  using poller = new Poller()
  using attachment = attachToNodeLoop(multi)
  void poller.fd
  void attachment
  void kernel.errno.EAGAIN
}
