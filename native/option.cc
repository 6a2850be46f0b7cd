// Socket options. The numbers are SocketOption's in lib/sys/kernel.ts; a platform that lacks one
// answers -ENOPROTOOPT.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "call.h"
#include "verbs.h"

namespace sockmux {

namespace {

enum class Access { kReadWrite, kReadOnly };

struct Option {
  int level;  // -1: this platform has none
  int name;
  Access access = Access::kReadWrite;
};

#if defined(TCP_KEEPIDLE)
constexpr int kTcpKeepIdle = TCP_KEEPIDLE;
#else
constexpr int kTcpKeepIdle = TCP_KEEPALIVE;  // Apple's name for it
#endif

constexpr Option kNone = {-1, 0};

// Where several sockets listen on one port, connections must be spread over them. Elsewhere one of
// them would get all, so there is no such option.
#if defined(SO_REUSEPORT_LB)
constexpr Option kReusePort = {SOL_SOCKET, SO_REUSEPORT_LB};
#elif defined(SO_REUSEPORT) && !defined(__APPLE__) && !defined(__NetBSD__) && !defined(__OpenBSD__)
constexpr Option kReusePort = {SOL_SOCKET, SO_REUSEPORT};
#else
constexpr Option kReusePort = kNone;
#endif

#if defined(TCP_DEFER_ACCEPT)
constexpr Option kDeferAccept = {IPPROTO_TCP, TCP_DEFER_ACCEPT};
#else
constexpr Option kDeferAccept = kNone;
#endif

#if defined(TCP_FASTOPEN)
constexpr Option kFastOpen = {IPPROTO_TCP, TCP_FASTOPEN};
#else
constexpr Option kFastOpen = kNone;
#endif

#if defined(TCP_CORK)
constexpr Option kCork = {IPPROTO_TCP, TCP_CORK};
#elif defined(TCP_NOPUSH)
constexpr Option kCork = {IPPROTO_TCP, TCP_NOPUSH};
#else
constexpr Option kCork = kNone;
#endif

constexpr int kLinger = 9;

constexpr Option kOptions[] = {
    kNone,
    {SOL_SOCKET, SO_ERROR, Access::kReadOnly},       // 1 ERROR
    {SOL_SOCKET, SO_REUSEADDR},                      // 2 REUSE_ADDRESS
    kReusePort,                                      // 3 REUSE_PORT
    {IPPROTO_TCP, TCP_NODELAY},                      // 4 NO_DELAY
    {SOL_SOCKET, SO_KEEPALIVE},                      // 5 KEEP_ALIVE
    {IPPROTO_TCP, kTcpKeepIdle},                     // 6 KEEP_ALIVE_IDLE
    {IPPROTO_TCP, TCP_KEEPINTVL},                    // 7 KEEP_ALIVE_INTERVAL
    {IPPROTO_TCP, TCP_KEEPCNT},                      // 8 KEEP_ALIVE_COUNT
    {SOL_SOCKET, SO_LINGER},                         // 9 LINGER
    {IPPROTO_IPV6, IPV6_V6ONLY},                     // 10 V6_ONLY
    {SOL_SOCKET, SO_SNDBUF},                         // 11 SEND_BUFFER
    {SOL_SOCKET, SO_RCVBUF},                         // 12 RECEIVE_BUFFER
    {SOL_SOCKET, SO_ACCEPTCONN, Access::kReadOnly},  // 13 ACCEPTING
    kDeferAccept,                                    // 14 DEFER_ACCEPT
    kFastOpen,                                       // 15 FAST_OPEN
    kCork,                                           // 16 CORK
};
constexpr int32_t kOptionLast = sizeof kOptions / sizeof kOptions[0] - 1;

int SetLinger(int fd, int32_t value) {
  linger setting = {};
  setting.l_onoff = value < 0 ? 0 : 1;
  setting.l_linger = value < 0 ? 0 : value;
  return setsockopt(fd, SOL_SOCKET, SO_LINGER, &setting, sizeof setting) < 0 ? -errno : 0;
}

int GetLinger(int fd, int32_t* value) {
  linger setting = {};
  socklen_t length = sizeof setting;
  if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &setting, &length) < 0) return -errno;
  *value = setting.l_onoff == 0 ? -1 : setting.l_linger;
  return 0;
}

}  // namespace

// setOption(fd, option, value)
napi_value SetOption(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  int fd;
  int32_t number, value;
  if (!call.Fd(0, &fd) || !call.Integer(1, "option", &number, 1, kOptionLast) ||
      !call.Integer(2, "value", &value)) {
    return nullptr;
  }
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  const Option& option = kOptions[number];
  if (option.level < 0 || option.access == Access::kReadOnly) return call.Result(-ENOPROTOOPT);
  call.state().Count(SystemCall::kSetSockOpt);
  if (number == kLinger) return call.Result(SetLinger(fd, value));
  int result = setsockopt(fd, option.level, option.name, &value, sizeof value);
  return call.Result(result < 0 ? -errno : 0);
}

// getOption(fd, option)
napi_value GetOption(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int fd;
  int32_t number;
  if (!call.Fd(0, &fd) || !call.Integer(1, "option", &number, 1, kOptionLast)) return nullptr;
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  const Option& option = kOptions[number];
  if (option.level < 0) return call.Result(-ENOPROTOOPT);
  call.state().Count(SystemCall::kGetSockOpt);
  int32_t value = 0;
  if (number == kLinger) {
    int error = GetLinger(fd, &value);
    return call.Result(error < 0 ? error : value);
  }
  socklen_t length = sizeof value;
  if (getsockopt(fd, option.level, option.name, &value, &length) < 0) return call.Result(-errno);
  return call.Result(value);
}

}  // namespace sockmux
