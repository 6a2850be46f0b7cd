// The calls that move bytes, for the verbs and their batched forms. Bytes moved, or -errno; a
// signal is retried.
#ifndef SOCKMUX_TRANSFER_H_
#define SOCKMUX_TRANSFER_H_

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "environment.h"

namespace sockmux {

#if defined(MSG_NOSIGNAL)
inline constexpr int kSendFlags = MSG_NOSIGNAL;
#else
inline constexpr int kSendFlags = 0;  // SO_NOSIGPIPE is set on every socket instead
#endif

template <class Operation>
inline int32_t Retry(Environment& state, SystemCall kind, Operation operation) {
  for (;;) {
    state.Count(kind);
    ssize_t result = operation();
    if (result >= 0) return static_cast<int32_t>(result);
    if (errno != EINTR) return -errno;
  }
}

inline int32_t RecvBytes(Environment& state, int fd, Span span) {
  return Retry(state, SystemCall::kRecv, [=] { return recv(fd, span.bytes, span.length, 0); });
}
inline int32_t PeekBytes(Environment& state, int fd, Span span) {
  return Retry(state, SystemCall::kRecv,
               [=] { return recv(fd, span.bytes, span.length, MSG_PEEK); });
}
inline int32_t SendBytesOf(Environment& state, int fd, Span span) {
  return Retry(state, SystemCall::kSend,
               [=] { return send(fd, span.bytes, span.length, kSendFlags); });
}
inline int32_t ReadBytes(Environment& state, int fd, Span span) {
  return Retry(state, SystemCall::kRead, [=] { return read(fd, span.bytes, span.length); });
}
inline int32_t WriteBytes(Environment& state, int fd, Span span) {
  return Retry(state, SystemCall::kWrite, [=] { return write(fd, span.bytes, span.length); });
}

using TransferOperation = int32_t(Environment& state, int fd, Span span);

}  // namespace sockmux

#endif  // SOCKMUX_TRANSFER_H_
