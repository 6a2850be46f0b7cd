// The calls that move bytes, for the verbs and their batched forms. Bytes moved, or -errno; a
// signal is retried.
#ifndef SOCKMUX_TRANSFER_H_
#define SOCKMUX_TRANSFER_H_

#include <errno.h>
#include <sys/socket.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#include <unistd.h>

#include "environment.h"

namespace sockmux {

#if defined(MSG_NOSIGNAL)
inline constexpr int kSendFlags = MSG_NOSIGNAL;
#else
inline constexpr int kSendFlags = 0;  // SO_NOSIGPIPE is set on every socket instead
#endif

// Not through glibc's wrappers, which are points of cancellation: with a second thread, as every
// Node process has, they put two atomic exchanges around each call.
#if defined(__linux__) && defined(SYS_recvfrom) && defined(SYS_sendto)
inline ssize_t Receive(int fd, Span span, int flags) {
  return syscall(SYS_recvfrom, fd, span.bytes, span.length, flags, nullptr, nullptr);
}
inline ssize_t SendOut(int fd, Span span) {
  return syscall(SYS_sendto, fd, span.bytes, span.length, kSendFlags, nullptr, 0);
}
#else
inline ssize_t Receive(int fd, Span span, int flags) {
  return recv(fd, span.bytes, span.length, flags);
}
inline ssize_t SendOut(int fd, Span span) { return send(fd, span.bytes, span.length, kSendFlags); }
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
  return Retry(state, SystemCall::kRecv, [=] { return Receive(fd, span, 0); });
}
inline int32_t PeekBytes(Environment& state, int fd, Span span) {
  return Retry(state, SystemCall::kRecv, [=] { return Receive(fd, span, MSG_PEEK); });
}
inline int32_t SendBytesOf(Environment& state, int fd, Span span) {
  return Retry(state, SystemCall::kSend, [=] { return SendOut(fd, span); });
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
