// Descriptors between processes, over a connected unix socket (SCM_RIGHTS). What is sent stays the
// sender's as well; what is received is the receiver's own.
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "call.h"
#include "descriptor.h"
#include "verbs.h"

namespace sockmux {

namespace {

// Linux passes at most 253 at a time.
constexpr int kPassedMost = 253;

union ControlBytes {
  char bytes[CMSG_SPACE(kPassedMost * sizeof(int))];
  cmsghdr alignment;
};

#if defined(MSG_NOSIGNAL)
constexpr int kSendFlags = MSG_NOSIGNAL;
#else
constexpr int kSendFlags = 0;
#endif
#if defined(MSG_CMSG_CLOEXEC)
constexpr int kReceiveFlags = MSG_CMSG_CLOEXEC;
#else
constexpr int kReceiveFlags = 0;
#endif

msghdr Message(iovec* part, ControlBytes* control, size_t control_length) {
  msghdr message = {};
  message.msg_iov = part;
  message.msg_iovlen = 1;
  message.msg_control = control_length == 0 ? nullptr : control->bytes;
  message.msg_controllen = control_length;
  return message;
}

// All of them are ours afterwards, or closed: how many are ours.
int TakeAll(Environment& state, const msghdr& message, int32_t* fds, int capacity) {
  int count = 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(const_cast<msghdr*>(&message), header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t passed = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < passed; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      int owned = state.Own(fd);
      if (owned < 0) continue;
      if (count == capacity || SetCloseOnExec(state, fd) < 0) {
        state.CloseFd(fd);
      } else {
        fds[count++] = fd;
      }
    }
  }
  return count;
}

}  // namespace

// sendDescriptors(fd, fds, count, bufferId, offset, length)
napi_value SendDescriptors(napi_env env, napi_callback_info info) {
  Call<6> call(env, info);
  int fd;
  int32_t* fds;
  int32_t count;
  Span span;
  if (!call.Fd(0, &fd) || !call.Entries(1, "fds", 1, &fds, &count) || !call.Bytes(3, &span)) {
    return nullptr;
  }
  if (count > kPassedMost) return call.OutOfRange("count", "must be at most 253");
  if (span.length == 0) return call.OutOfRange("length", "must not be 0");
  Environment& state = call.state();
  if (!state.Owns(fd)) return call.Result(-EBADF);
  for (int32_t i = 0; i < count; ++i) {
    if (!state.Owns(fds[i])) return call.Result(-EBADF);
  }
  iovec part = {span.bytes, span.length};
  ControlBytes control = {};
  size_t payload = static_cast<size_t>(count) * sizeof(int);
  msghdr message = Message(&part, &control, count == 0 ? 0 : CMSG_SPACE(payload));
  if (count > 0) {
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(payload);
    memcpy(CMSG_DATA(header), fds, payload);
  }
  for (;;) {
    state.Count(SystemCall::kSendMsg);
    ssize_t sent = sendmsg(fd, &message, kSendFlags);
    if (sent >= 0) return call.Result(static_cast<int32_t>(sent));
    if (errno != EINTR) return call.Result(-errno);
  }
}

// receiveDescriptors(fd, fds, bufferId, offset, length)
napi_value ReceiveDescriptors(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  int fd;
  void* data;
  size_t capacity;
  Span span;
  if (!call.Fd(0, &fd) || !call.TypedArray(1, "fds", napi_int32_array, &data, &capacity) ||
      !call.Bytes(2, &span)) {
    return nullptr;
  }
  if (capacity == 0) return call.OutOfRange("fds", "must hold an integer");
  if (span.length == 0) return call.OutOfRange("length", "must not be 0");
  Environment& state = call.state();
  if (!state.Owns(fd)) return call.Result(-EBADF);
  iovec part = {span.bytes, span.length};
  ControlBytes control = {};
  msghdr message = Message(&part, &control, sizeof control.bytes);
  ssize_t received;
  do {
    state.Count(SystemCall::kRecvMsg);
    received = recvmsg(fd, &message, kReceiveFlags);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return call.Result(-errno);
  auto* fds = static_cast<int32_t*>(data);
  fds[0] = TakeAll(state, message, fds + 1, static_cast<int>(capacity) - 1);
  return call.Result(static_cast<int32_t>(received));
}

}  // namespace sockmux
