// Files that servers send: opened, looked at, read at a position, each in one system call. What is
// opened here is owned, so that it is closed with its thread at the latest; looked at and read is
// any descriptor, as by sendfile, since a program may have opened it.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "path.h"
#include "transfer.h"
#include "verbs.h"

namespace sockmux {

namespace {

// FileKind in lib/sys/native-files.ts.
enum Kind { kOther = 0, kRegular = 1, kDirectory = 2 };

// What fileStatus fills in.
enum Figure { kKind, kSize, kModifiedMs, kFigures };

double MillisecondsOf(const struct stat& file) {
#if defined(__APPLE__)
  const timespec& time = file.st_mtimespec;
#else
  const timespec& time = file.st_mtim;
#endif
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

}  // namespace

// openFile(path), for reading; does not wait for the other end of a named pipe
napi_value OpenFile(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  std::string path;
  int error;
  if (!ReadPath(call, &path, &error)) return nullptr;
  if (error != 0) return call.Result(error);
  int fd = Retry(call.state(), SystemCall::kOpen,
                 [&] { return open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); });
  return call.Result(fd < 0 ? fd : call.state().Own(fd));
}

// fileStatus(fd, figures)
napi_value FileStatus(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int fd;
  void* data;
  size_t length;
  if (!call.Fd(0, &fd)) return nullptr;
  if (!call.TypedArray(1, "figures", napi_float64_array, &data, &length)) return nullptr;
  if (length < kFigures) return call.OutOfRange("figures", "is too short");
  call.state().Count(SystemCall::kStat);
  struct stat file;
  if (fstat(fd, &file) < 0) return call.Result(-errno);
  auto* figures = static_cast<double*>(data);
  figures[kKind] = S_ISREG(file.st_mode) ? kRegular : S_ISDIR(file.st_mode) ? kDirectory : kOther;
  figures[kSize] = static_cast<double>(file.st_size);
  figures[kModifiedMs] = MillisecondsOf(file);
  return call.Result(0);
}

// readFile(fd, into, offset, length, position)
napi_value ReadFile(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  int fd;
  void* data;
  size_t size;
  int32_t offset, length;
  int64_t position;
  if (!call.Fd(0, &fd) || !call.TypedArray(1, "into", napi_uint8_array, &data, &size) ||
      !call.Integer(2, "offset", &offset, 0) || !call.Integer(3, "length", &length, 0) ||
      !call.LongInteger(4, "position", &position)) {
    return nullptr;
  }
  if (static_cast<size_t>(offset) > size || static_cast<size_t>(length) > size - offset) {
    return call.OutOfRange("offset, length", "reach outside the array");
  }
  auto* into = static_cast<uint8_t*>(data) + offset;
  return call.Result(Retry(call.state(), SystemCall::kRead, [=] {
    return pread(fd, into, static_cast<size_t>(length), static_cast<off_t>(position));
  }));
}

}  // namespace sockmux
