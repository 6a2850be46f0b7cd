// sendfile(fd, fileFd, position, length): from a file to a socket inside the kernel, which every
// system spells its way.
#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <algorithm>

#include "call.h"
#include "platform.h"
#include "verbs.h"

#if defined(__linux__)
#include <sys/sendfile.h>
#endif

namespace sockmux {

namespace {

// What Linux moves at most in one call; it keeps the result in an int32.
constexpr int64_t kLengthMax = 0x7ffff000;

int64_t SendFileOnce(int fd, int file, off_t position, size_t length) {
#if defined(__linux__)
  ssize_t sent = sendfile(fd, file, &position, length);
  return sent < 0 ? -errno : sent;
#elif defined(__APPLE__)
  off_t sent = static_cast<off_t>(length);
  if (sendfile(file, fd, position, &sent, nullptr, 0) == 0 || sent > 0) return sent;
  return -errno;
#elif defined(__FreeBSD__) || defined(__DragonFly__)
  off_t sent = 0;
  if (sendfile(file, fd, position, length, nullptr, &sent, 0) == 0 || sent > 0) return sent;
  return -errno;
#else
  (void)fd, (void)file, (void)position, (void)length;
  return -ENOSYS;
#endif
}

}  // namespace

napi_value SendFile(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  int fd, file;
  int64_t position, length;
  if (!call.Fd(0, &fd) || !call.Integer(1, "fileFd", &file) ||
      !call.LongInteger(2, "position", &position) || !call.LongInteger(3, "length", &length)) {
    return nullptr;
  }
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  // BSD reads a length of 0 as "to the end of the file".
  if (length == 0) return call.Result(0);
  auto size = static_cast<size_t>(std::min(length, kLengthMax));
  int64_t result;
  do {
    call.state().Count(SystemCall::kSendFile);
    result = SendFileOnce(fd, file, static_cast<off_t>(position), size);
  } while (result == -EINTR);
  return call.Result(static_cast<int32_t>(result));
}

}  // namespace sockmux
