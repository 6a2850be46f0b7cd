#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "call.h"
#include "platform.h"
#include "verbs.h"
#include "wakeup.h"

namespace sockmux {

namespace {

// A flag word read with `get` and written with `set`; written only when it changes.
int AddFlag(Environment& state, int fd, int get, int set, int flag) {
  state.Count(SystemCall::kFcntl);
  int flags = fcntl(fd, get);
  if (flags < 0) return -errno;
  if ((flags & flag) != 0) return 0;
  state.Count(SystemCall::kFcntl);
  return fcntl(fd, set, flags | flag) < 0 ? -errno : 0;
}

#if !defined(SOCKMUX_ATOMIC_FLAGS)
// The descriptor with its flags, or -errno and it is closed.
int Prepare(Environment& state, int fd, bool socket) {
  int result = SetCloseOnExec(state, fd);
  if (result == 0) result = SetNonBlocking(state, fd);
#if defined(SO_NOSIGPIPE)
  int on = 1;
  if (result == 0 && socket && setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) < 0) {
    // A socket that the peer has reset already refuses options; its first send says what happened,
    // and node ignores SIGPIPE for the whole process.
    if (errno != EINVAL) result = -errno;
  }
#else
  (void)socket;
#endif
  if (result == 0) return fd;
  close(fd);
  return result;
}

int PreparePair(Environment& state, int* fds, bool socket) {
  int first = Prepare(state, fds[0], socket);
  if (first < 0) {
    close(fds[1]);
    return first;
  }
  int second = Prepare(state, fds[1], socket);
  if (second >= 0) return 0;
  close(fds[0]);
  return second;
}
#endif

int NewPipe(Environment& state, int* fds) {
  state.Count(SystemCall::kPipe);
#if defined(SOCKMUX_ATOMIC_FLAGS)
  return pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0 ? -errno : 0;
#else
  return pipe(fds) < 0 ? -errno : PreparePair(state, fds, false);
#endif
}

int NewSocketPair(Environment& state, int* fds) {
  state.Count(SystemCall::kSocketPair);
#if defined(SOCKMUX_ATOMIC_FLAGS)
  int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  return socketpair(AF_UNIX, type, 0, fds) < 0 ? -errno : 0;
#else
  return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ? -errno : PreparePair(state, fds, true);
#endif
}

napi_value NewPair(napi_env env, napi_callback_info info, int (*create)(Environment&, int*)) {
  Call<1> call(env, info);
  void* data;
  size_t length;
  if (!call.TypedArray(0, "pair", napi_int32_array, &data, &length)) return nullptr;
  if (length < 2) return call.OutOfRange("pair", "must hold two integers");
  Environment& state = call.state();
  int fds[2];
  int result = create(state, fds);
  if (result < 0) return call.Result(result);
  result = state.Own(fds[0]);
  if (result < 0) {
    close(fds[1]);
    return call.Result(result);
  }
  result = state.Own(fds[1]);
  if (result < 0) {
    state.CloseFd(fds[0]);
    return call.Result(result);
  }
  auto* pair = static_cast<int32_t*>(data);
  pair[0] = fds[0];
  pair[1] = fds[1];
  return call.Result(0);
}

}  // namespace

int SetCloseOnExec(Environment& state, int fd) {
  return AddFlag(state, fd, F_GETFD, F_SETFD, FD_CLOEXEC);
}

int SetNonBlocking(Environment& state, int fd) {
  return AddFlag(state, fd, F_GETFL, F_SETFL, O_NONBLOCK);
}

int NewSocket(Environment& state, int domain) {
  state.Count(SystemCall::kSocket);
#if defined(SOCKMUX_ATOMIC_FLAGS)
  int fd = ::socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? -errno : fd;
#else
  int fd = ::socket(domain, SOCK_STREAM, 0);
  return fd < 0 ? -errno : Prepare(state, fd, true);
#endif
}

int AcceptSocket(Environment& state, int listener) {
  for (;;) {
    state.Count(SystemCall::kAccept);
#if defined(SOCKMUX_ATOMIC_FLAGS)
    int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return fd;
#else
    int fd = accept(listener, nullptr, nullptr);
    if (fd >= 0) return Prepare(state, fd, true);
#endif
    if (errno != EINTR) return -errno;
  }
}

// generation(fd)
napi_value Generation(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int fd;
  if (!call.Fd(0, &fd)) return nullptr;
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  return call.Result(fd_table::entry::Generation(fd_table::Load(fd)));
}

// adopt(fd)
napi_value Adopt(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int fd;
  if (!call.Fd(0, &fd)) return nullptr;
  Environment& state = call.state();
  int32_t generation = fd_table::Claim(fd, state.owner);
  if (generation < 0) return call.Result(generation);
  // Non-blocking last: it belongs to the open file, which the caller may share with others.
  int result = SetCloseOnExec(state, fd);
  if (result == 0) result = SetNonBlocking(state, fd);
  if (result == 0) return call.Result(generation);
  fd_table::Disown(fd, state.owner);
  return call.Result(result);
}

// disown(fd, generation)
napi_value Disown(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int fd;
  int32_t generation;
  if (!call.Fd(0, &fd) || !call.Integer(1, "generation", &generation, 1)) return nullptr;
  Environment& state = call.state();
  if (!state.Owns(fd)) return call.Result(-EBADF);
  if (fd_table::entry::Generation(fd_table::Load(fd)) != generation) return call.Result(-ESTALE);
  fd_table::Disown(fd, state.owner);
  return call.Result(0);
}

// close(fd, generation?)
napi_value Close(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int fd;
  int32_t generation = 0;
  if (!call.Fd(0, &fd)) return nullptr;
  napi_valuetype type = napi_undefined;
  if (call.count() > 1) napi_typeof(env, call.value(1), &type);
  if (type != napi_undefined && !call.Integer(1, "generation", &generation, 1)) return nullptr;
  return call.Result(call.state().CloseFd(fd, generation));
}

// pipe(pair), socketPair(pair)
napi_value Pipe(napi_env env, napi_callback_info info) { return NewPair(env, info, NewPipe); }
napi_value SocketPair(napi_env env, napi_callback_info info) {
  return NewPair(env, info, NewSocketPair);
}

// socket(family)
napi_value Socket(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t family;
  if (!call.Integer(0, "family", &family)) return nullptr;
  int domain = DomainOf(family);
  if (domain < 0) return call.OutOfRange("family", "must be one of Family");
  int fd = NewSocket(call.state(), domain);
  return call.Result(fd < 0 ? fd : call.state().Own(fd));
}

// descriptorLimit()
napi_value DescriptorLimit(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return call.Result(-errno);
  bool is_huge = limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > INT_MAX;
  return call.Result(is_huge ? INT_MAX : static_cast<int>(limit.rlim_cur));
}

// openWakeup()
napi_value OpenWakeup(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int fd = wakeup::Create(call.state());
  return call.Result(fd < 0 ? fd : call.state().Own(fd, fd_table::kWakeup));
}

// wake(fd, generation)
napi_value Wake(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int fd;
  int32_t generation;
  if (!call.Fd(0, &fd) || !call.Integer(1, "generation", &generation, 1)) return nullptr;
  return call.Result(fd_table::Wake(fd, generation, wakeup::Signal));
}

// clearWakeup(fd)
napi_value ClearWakeup(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int fd;
  if (!call.Fd(0, &fd)) return nullptr;
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  // Another descriptor must not lose bytes to a read that was meant for a wakeup.
  if ((fd_table::Load(fd) & fd_table::kWakeup) == 0) return call.Result(-EINVAL);
  return call.Result(wakeup::Clear(call.state(), fd));
}

}  // namespace sockmux
