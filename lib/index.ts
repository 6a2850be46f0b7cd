/** The public surface of sockmux; re-exports only. */
export {
  MultiCode,
  type MultiCodeName,
  MultiError,
  SystemError,
  TransferCode,
  type TransferCodeName,
  TransferError,
} from './base/errors.ts'
export type { AuthScheme } from './client/authentication.ts'
export { type BodyFunction, PAUSE } from './client/body-function.ts'
export type { BodyOptions } from './client/body-options.ts'
export type { ConnectionOptions, KeepAliveSettings } from './client/connection-options.ts'
export { CookieJar, type CookieJarOptions } from './client/cookie-jar.ts'
export type { RandomBytes } from './client/digest.ts'
export { Form, type PartOptions } from './client/form.ts'
export type { HstsEntry } from './client/hsts-file.ts'
export { HstsStore, type HstsStoreOptions } from './client/hsts-store.ts'
export type { HttpOptions } from './client/http-options.ts'
export { exportTlsSessions, importTlsSessions, type TlsSessionRecord } from './client/tls-session-records.ts'
export { type Direction, Transfer } from './client/transfer.ts'
export type { TransferInfo } from './client/transfer-info.ts'
export type {
  DebugKind,
  Progress,
  ResponseHead,
  TransferOptions,
} from './client/transfer-options.ts'
export type { WebSocketOptions } from './client/websocket-options.ts'
export type { PeerCertificate } from './connection/peer-certificate.ts'
export type { WebSocketHandle, WebSocketSendOptions } from './connection/websocket-handle.ts'
export type { WebSocketFrame, WebSocketFrameType, WebSocketMessage } from './connection/websocket-message.ts'
export type { WebSocketType } from './connection/websocket-sender.ts'
export type { WebSocketState } from './connection/websocket-session.ts'
export type { WebSocketOpening } from './connection/websocket-terms.ts'
export { attachToNodeLoop, type NodeLoopAttachment, type NodeLoopOptions } from './loops/node-loop.ts'
export { type PollLoopOptions, runPollLoop } from './loops/poll-loop.ts'
export type { MultiStats, PollFd } from './multi/multi.ts'
export type { ActivityFunction, NotifyFunction, TimerFunction } from './multi/outside.ts'
export type { Waker } from './multi/wakeup-line.ts'
export { request } from './request/request.ts'
export type { RequestOptions } from './request/request-options.ts'
export { Response } from './request/response.ts'
export type { BodyPieces } from './request/upload-source.ts'
export type { Rate, RateMeter } from './server/admission/accept-rate.ts'
export type { PrefixLengths } from './server/admission/address-prefix.ts'
export type { DropReason, Limits, Policy, PolicyVerdict, Rejection } from './server/admission/admission.ts'
export type { AdmissionCounts } from './server/admission/admission-counts.ts'
export type { ProxyProtocolOptions } from './server/admission/proxy-acceptance.ts'
export type { ByteCallback, CloseCallback, DataCallback } from './server/connection/byte-driver.ts'
export type { CloseReason } from './server/connection/close-reason.ts'
export { Connection, type DetachOptions } from './server/connection/connection.ts'
export type { ConnectionTls } from './server/connection/connection-tls.ts'
export type { ServerTlsOptions, TlsContextChoice } from './server/connection/server-tls.ts'
export type { SocketTicket } from './server/connection/ticket.ts'
export type { Authenticator, AuthRequest, AuthResult, AuthVerdict } from './server/http/auth/authenticator.ts'
export { BasicAuth, type BasicAuthOptions } from './server/http/auth/basic-auth.ts'
export {
  type DigestAlgorithm,
  DigestAuth,
  type DigestAuthOptions,
  type NonceBinding,
} from './server/http/auth/digest-auth.ts'
export { HttpError, type RequestAbortedError, type RequestEnd } from './server/http/http-error.ts'
export type { HttpHandler, HttpLimits, RequestDriver, RequestTimings } from './server/http/http-options.ts'
export { HttpServer, type HttpServerOptions } from './server/http/http-server.ts'
export type { FormField, FormLimits, FormPart, ReceivedForm } from './server/http/request/form.ts'
export type { HttpRequest } from './server/http/request/http-request.ts'
export type { BodySink } from './server/http/request/request-body.ts'
export { type FileRequest, type FileResponseOptions, fileResponse } from './server/http/response/file-response.ts'
export { type PreparedResponse, prepareResponse } from './server/http/response/prepared-response.ts'
export type {
  BodyPiece,
  DescriptorBody,
  FileBody,
  HttpResponse,
  HttpResponseBody,
  HttpResponseHeaders,
  PipeBody,
  PullBody,
  PullFunction,
} from './server/http/response/response.ts'
export { Router } from './server/http/router.ts'
export { type UpgradeOptions, upgrade } from './server/http/upgrade/raw-upgrade.ts'
export type { ServerWebSocket } from './server/http/upgrade/server-websocket.ts'
export type { Upgrade } from './server/http/upgrade/upgrade.ts'
export { webSocket } from './server/http/upgrade/websocket.ts'
export type { WebSocketServerOptions } from './server/http/upgrade/websocket-options.ts'
export { type ListenFd, listenFds } from './server/listening/listen-fds.ts'
export type { ListenHandle, ListenOptions } from './server/listening/listen-options.ts'
export {
  type AcceptError,
  type AcceptErrorFunction,
  type AcceptFunction,
  Listener,
} from './server/listening/listener.ts'
export type { ServerListener } from './server/listening/server-listener.ts'
export { PanicError, type PanicHandler, setPanicHandler } from './server/panic.ts'
export type { Priority } from './server/priority.ts'
export { Server, type ServerOptions } from './server/server.ts'
export { stopServers } from './server/server-book.ts'
export type {
  BroadcastOptions,
  ClientInfo,
  DrainOptions,
  DrainReport,
  ExclusiveOptions,
  IdlePolicy,
  RestartOptions,
  ServerControl,
  ServerStats,
  StopOptions,
  StopReport,
  SuspendOptions,
} from './server/server-control.ts'
export { ServerError, type ServerErrorCode } from './server/server-error.ts'
export type { Drop, ErrorContext, ServerEvents } from './server/server-events.ts'
export type { LimitOptions, RateOptions, ServerBaseOptions, ServerLimitOptions } from './server/server-options.ts'
export type { ServerState } from './server/server-state.ts'
export type { CallbackStrategy, SessionStrategy, Strategy } from './server/server-strategy.ts'
export type { Timeouts } from './server/timeouts.ts'
export { type Clock, systemClock } from './sys/clock.ts'
export type { FileStatus, Files } from './sys/files.ts'
export {
  BATCH_STRIDE,
  type ErrnoName,
  type ErrnoTable,
  Family,
  type FileIdentity,
  type Kernel,
  type PeerCredentials,
  POLL_STRIDE,
  type RegisteredBuffer,
  SEGMENT_STRIDE,
  type SocketAddress,
  SocketOption,
} from './sys/kernel.ts'
export { kernel, Poller } from './sys/native.ts'
export type { PollerAddOptions, PollerBackend, PollerLike, PollerOptions } from './sys/poller.ts'
export { Interest, Readiness, SOCKET_TIMEOUT, WOULD_BLOCK } from './sys/readiness.ts'
export type { Resolver, ResolverAnswer } from './sys/resolver.ts'
export type { TlsDescription, TlsProvider } from './sys/tls.ts'
export { type BlockingOptions, type BlockingReadOptions, readSync, writeSync } from './threads/blocking.ts'
export type {
  PickFunction,
  ServerGroupOptions,
  ShareMode,
  WorkerChange,
  WorkerRange,
} from './threads/group-options.ts'
export { Handover, type HandoverOptions, type HandoverSource, serveHandover } from './threads/handover.ts'
export type {
  ManagedEvents,
  ManagedExclusiveOptions,
  ManagedRestartOptions,
  ManagedServerOptions,
} from './threads/managed-options.ts'
export { ManagedServer } from './threads/managed-server.ts'
export {
  type RecycleOptions,
  type RollingRestartOptions,
  ServerGroup,
  type WorkerInfo,
} from './threads/server-group.ts'
export type { ServerModule } from './threads/server-module.ts'
export type { ThreadWorkerOptions } from './threads/server-thread.ts'
export { type CountsHandle, SharedCounts } from './threads/shared-counts.ts'
export { Takeover, type TakeoverOptions, takeOver } from './threads/takeover.ts'
export { isClosing } from './threads/thread-signals.ts'
export type {
  PriorityReport,
  RemoteBroadcastOptions,
  RemoteErrorContext,
  ThreadStatus,
} from './threads/thread-verbs.ts'
export { type Message, Multi, type MultiOptions, type MultiSubject } from './typed-multi.ts'
export { digestKey } from './wire/digest-proof.ts'
export type { HeaderList, HeaderPairs, HeaderRecord } from './wire/http1/header-list.ts'
