// The verbs of a socket's life: bind, to an address or a device, listen, accept, connect, its two
// addresses, half-close.
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "address.h"
#include "call.h"
#include "descriptor.h"
#include "verbs.h"

namespace sockmux {

namespace {

// Longer than any address; what does not fit is too long anyway.
constexpr size_t kTextMax = 512;

struct Endpoint {
  int fd;
  Address address;
};

// (fd, family, address, port). False with an exception pending; `error` is 0 or -errno.
bool ReadEndpoint(Call<4>& call, Endpoint* endpoint, int* error) {
  int32_t family, port;
  if (!call.Fd(0, &endpoint->fd) || !call.Integer(1, "family", &family)) return false;
  if (DomainOf(family) < 0) {
    ThrowRangeError(call.env(), "family", "must be one of Family");
    return false;
  }
  char text[kTextMax];
  size_t length;
  if (napi_get_value_string_utf8(call.env(), call.value(2), text, sizeof text, &length) !=
      napi_ok) {
    ThrowTypeError(call.env(), "address", "must be a string");
    return false;
  }
  if (!call.Integer(3, "port", &port, 0, UINT16_MAX)) return false;
  if (!call.state().Owns(endpoint->fd)) {
    *error = -EBADF;
  } else {
    *error = ParseAddress(family, std::string(text, length), port, &endpoint->address);
  }
  return true;
}

napi_value AddressOf(napi_env env, napi_callback_info info, SystemCall kind,
                     int (*get)(int, sockaddr*, socklen_t*)) {
  Call<1> call(env, info);
  int fd;
  if (!call.Fd(0, &fd)) return nullptr;
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  Address address;
  address.length = sizeof address.storage;
  auto* base = reinterpret_cast<sockaddr*>(&address.storage);
  call.state().Count(kind);
  if (get(fd, base, &address.length) < 0) return call.Result(-errno);
  return AddressToObject(env, base, address.length);
}

}  // namespace

// bind(fd, family, address, port)
napi_value Bind(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  Endpoint endpoint;
  int error;
  if (!ReadEndpoint(call, &endpoint, &error)) return nullptr;
  if (error != 0) return call.Result(error);
  call.state().Count(SystemCall::kBind);
  auto* base = reinterpret_cast<sockaddr*>(&endpoint.address.storage);
  return call.Result(bind(endpoint.fd, base, endpoint.address.length) < 0 ? -errno : 0);
}

// bindToDevice(fd, device)
napi_value BindToDevice(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int fd;
  if (!call.Fd(0, &fd)) return nullptr;
  char device[kTextMax];
  size_t length;
  if (napi_get_value_string_utf8(env, call.value(1), device, sizeof device, &length) != napi_ok) {
    ThrowTypeError(env, "device", "must be a string");
    return nullptr;
  }
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  // An empty name would take the binding back.
  if (length == 0 || length >= IFNAMSIZ) return call.Result(-EINVAL);
  call.state().Count(SystemCall::kSetSockOpt);
#if defined(SO_BINDTODEVICE)
  int result = setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, length + 1);
#elif defined(IP_BOUND_IF) && defined(IPV6_BOUND_IF)
  int index = static_cast<int>(if_nametoindex(device));
  if (index == 0) return call.Result(-errno);
  sockaddr_storage name = {};
  socklen_t size = sizeof name;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) < 0) return call.Result(-errno);
  int result = name.ss_family == AF_INET6
                   ? setsockopt(fd, IPPROTO_IPV6, IPV6_BOUND_IF, &index, sizeof index)
                   : setsockopt(fd, IPPROTO_IP, IP_BOUND_IF, &index, sizeof index);
#else
  int result = -1;
  errno = ENOPROTOOPT;
#endif
  return call.Result(result < 0 ? -errno : 0);
}

// connect(fd, family, address, port)
napi_value Connect(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  Endpoint endpoint;
  int error;
  if (!ReadEndpoint(call, &endpoint, &error)) return nullptr;
  if (error != 0) return call.Result(error);
  call.state().Count(SystemCall::kConnect);
  auto* base = reinterpret_cast<sockaddr*>(&endpoint.address.storage);
  if (connect(endpoint.fd, base, endpoint.address.length) == 0) return call.Result(0);
  // Interrupted, a connect goes on by itself; asking again would be refused.
  return call.Result(errno == EINTR ? -EINPROGRESS : -errno);
}

// listen(fd, backlog)
napi_value Listen(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int fd;
  int32_t backlog;
  if (!call.Fd(0, &fd) || !call.Integer(1, "backlog", &backlog, 0)) return nullptr;
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  call.state().Count(SystemCall::kListen);
  return call.Result(listen(fd, backlog) < 0 ? -errno : 0);
}

// accept(fd)
napi_value Accept(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int fd;
  if (!call.Fd(0, &fd)) return nullptr;
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  int accepted = AcceptSocket(call.state(), fd);
  return call.Result(accepted < 0 ? accepted : call.state().Own(accepted));
}

// localAddress(fd), peerAddress(fd)
napi_value LocalAddress(napi_env env, napi_callback_info info) {
  return AddressOf(env, info, SystemCall::kGetSockName, getsockname);
}
napi_value PeerAddress(napi_env env, napi_callback_info info) {
  return AddressOf(env, info, SystemCall::kGetPeerName, getpeername);
}

// shutdownWrite(fd)
napi_value ShutdownWrite(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int fd;
  if (!call.Fd(0, &fd)) return nullptr;
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  call.state().Count(SystemCall::kShutdown);
  return call.Result(shutdown(fd, SHUT_WR) < 0 ? -errno : 0);
}

}  // namespace sockmux
