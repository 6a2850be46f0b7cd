// The path that a verb is called with.
#ifndef SOCKMUX_PATH_H_
#define SOCKMUX_PATH_H_

#include <errno.h>

#include <string>

#include "call.h"

namespace sockmux {

// The first argument. False with an exception pending; `error` is 0 or -errno.
template <size_t kArguments>
bool ReadPath(Call<kArguments>& call, std::string* path, int* error) {
  size_t length;
  if (napi_get_value_string_utf8(call.env(), call.value(0), nullptr, 0, &length) != napi_ok) {
    ThrowTypeError(call.env(), "path", "must be a string");
    return false;
  }
  path->resize(length);
  napi_get_value_string_utf8(call.env(), call.value(0), path->data(), length + 1, &length);
  *error = path->find('\0') == std::string::npos ? 0 : -EINVAL;
  return true;
}

}  // namespace sockmux

#endif  // SOCKMUX_PATH_H_
