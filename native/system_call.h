// The system calls that the addon makes, by kind, for the per-environment counters.
#ifndef SOCKMUX_SYSTEM_CALL_H_
#define SOCKMUX_SYSTEM_CALL_H_

namespace sockmux {

enum class SystemCall {
  kSocket,
  kSocketPair,
  kPipe,
  kBind,
  kListen,
  kAccept,
  kConnect,
  kShutdown,
  kClose,
  kGetSockName,
  kGetPeerName,
  kGetSockOpt,
  kSetSockOpt,
  kFcntl,
  kRecv,
  kSend,
  kSendMsg,
  kRead,
  kWrite,
  kWritev,
  kSendFile,
  kPoll,
  kEventFd,
  kEpollCreate,
  kEpollCtl,
  kEpollWait,
  kKqueue,
  kKevent,
  kGetAddrInfo,
  kChmod,
  kStat,
  kUnlink,
  kOpen,
  kFlock,
  kRecvMsg,
  kCount,
};

inline constexpr int kSystemCallCount = static_cast<int>(SystemCall::kCount);

// In the order of the enumeration. accept4, pipe2 and epoll_create1 count under the plain name.
inline constexpr const char* kSystemCallNames[] = {
    "socket",     "socketpair", "pipe",     "bind",        "listen",      "accept",
    "connect",    "shutdown",   "close",    "getsockname", "getpeername", "getsockopt",
    "setsockopt", "fcntl",      "recv",     "send",        "sendmsg",     "read",
    "write",      "writev",     "sendfile", "poll",        "eventfd",     "epoll_create",
    "epoll_ctl",  "epoll_wait", "kqueue",   "kevent",      "getaddrinfo", "chmod",
    "stat",       "unlink",     "open",     "flock",       "recvmsg",
};
static_assert(sizeof(kSystemCallNames) / sizeof(kSystemCallNames[0]) == kSystemCallCount);

}  // namespace sockmux

#endif  // SOCKMUX_SYSTEM_CALL_H_
