// The errno values of this platform by name, for ERRNO_NAMES in lib/sys/kernel.ts: no number is
// written there.
#include <errno.h>

#include "verbs.h"

namespace sockmux {

namespace {

#define SOCKMUX_ERRNO(name) \
  {                         \
#name, name             \
  }

constexpr struct {
  const char* name;
  int value;
} kErrors[] = {
    SOCKMUX_ERRNO(EPERM),       SOCKMUX_ERRNO(ENOENT),          SOCKMUX_ERRNO(EINTR),
    SOCKMUX_ERRNO(EIO),         SOCKMUX_ERRNO(EBADF),           SOCKMUX_ERRNO(EAGAIN),
    SOCKMUX_ERRNO(ENOMEM),      SOCKMUX_ERRNO(EACCES),          SOCKMUX_ERRNO(EFAULT),
    SOCKMUX_ERRNO(EBUSY),       SOCKMUX_ERRNO(EEXIST),          SOCKMUX_ERRNO(EXDEV),
    SOCKMUX_ERRNO(ENOTDIR),     SOCKMUX_ERRNO(EISDIR),          SOCKMUX_ERRNO(EINVAL),
    SOCKMUX_ERRNO(ENFILE),      SOCKMUX_ERRNO(EMFILE),          SOCKMUX_ERRNO(EFBIG),
    SOCKMUX_ERRNO(ENOSPC),      SOCKMUX_ERRNO(ESPIPE),          SOCKMUX_ERRNO(EROFS),
    SOCKMUX_ERRNO(EPIPE),       SOCKMUX_ERRNO(ERANGE),          SOCKMUX_ERRNO(ENAMETOOLONG),
    SOCKMUX_ERRNO(ENOSYS),      SOCKMUX_ERRNO(ELOOP),           SOCKMUX_ERRNO(EPROTO),
    SOCKMUX_ERRNO(EOVERFLOW),   SOCKMUX_ERRNO(ENOTSOCK),        SOCKMUX_ERRNO(EDESTADDRREQ),
    SOCKMUX_ERRNO(EMSGSIZE),    SOCKMUX_ERRNO(EPROTOTYPE),      SOCKMUX_ERRNO(ENOPROTOOPT),
    SOCKMUX_ERRNO(EOPNOTSUPP),  SOCKMUX_ERRNO(EPROTONOSUPPORT), SOCKMUX_ERRNO(EAFNOSUPPORT),
    SOCKMUX_ERRNO(EADDRINUSE),  SOCKMUX_ERRNO(EADDRNOTAVAIL),   SOCKMUX_ERRNO(ENETDOWN),
    SOCKMUX_ERRNO(ENETUNREACH), SOCKMUX_ERRNO(ENETRESET),       SOCKMUX_ERRNO(ECONNABORTED),
    SOCKMUX_ERRNO(ECONNRESET),  SOCKMUX_ERRNO(ENOBUFS),         SOCKMUX_ERRNO(EISCONN),
    SOCKMUX_ERRNO(ENOTCONN),    SOCKMUX_ERRNO(ETIMEDOUT),       SOCKMUX_ERRNO(ECONNREFUSED),
    SOCKMUX_ERRNO(EHOSTDOWN),   SOCKMUX_ERRNO(EHOSTUNREACH),    SOCKMUX_ERRNO(EALREADY),
    SOCKMUX_ERRNO(EINPROGRESS), SOCKMUX_ERRNO(ESTALE),          SOCKMUX_ERRNO(ECANCELED),
};

#undef SOCKMUX_ERRNO

}  // namespace

napi_value ErrnoTable(napi_env env) {
  napi_value result;
  napi_create_object(env, &result);
  for (const auto& error : kErrors) {
    napi_value value;
    napi_create_int32(env, error.value, &value);
    napi_set_named_property(env, result, error.name, value);
  }
  return result;
}

}  // namespace sockmux
