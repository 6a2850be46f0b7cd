// What a unix socket has besides a TCP one: a file with permission bits, and a peer whose process
// the system knows.
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#include "path.h"
#include "verbs.h"

namespace sockmux {

namespace {

constexpr int kModeMost = 07777;
// A lock file may be removed between opening and locking it, each time by somebody who is done.
constexpr int kLockTriesMax = 100;

void SetNumber(napi_env env, napi_value object, const char* name, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  napi_set_named_property(env, object, name, value);
}

struct Credentials {
  double pid = -1;
  double uid = -1;
  double gid = -1;
};

int GetCredentials(int fd, Credentials* credentials) {
#if defined(SO_PEERCRED) && defined(__linux__)
  ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return -errno;
  // Of a socket that is no connected unix socket: nobody.
  if (peer.pid == 0 && peer.uid == static_cast<uid_t>(-1)) return -ENOTCONN;
  *credentials = {static_cast<double>(peer.pid), static_cast<double>(peer.uid),
                  static_cast<double>(peer.gid)};
  return 0;
#else
  uid_t uid;
  gid_t gid;
  if (getpeereid(fd, &uid, &gid) < 0) return -errno;
  credentials->uid = uid;
  credentials->gid = gid;
#if defined(LOCAL_PEERPID)
  pid_t pid;
  socklen_t length = sizeof pid;
  if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &pid, &length) == 0) credentials->pid = pid;
#endif
  return 0;
#endif
}

// The locked descriptor of the file that has this name now; or -errno.
int OpenLocked(Environment& state, const char* path) {
  for (int tries = 0; tries < kLockTriesMax; ++tries) {
    state.Count(SystemCall::kOpen);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return -errno;
    state.Count(SystemCall::kFlock);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
      int error = errno == EWOULDBLOCK ? EAGAIN : errno;
      close(fd);
      return -error;
    }
    struct stat locked, named;
    state.Count(SystemCall::kStat);
    bool is_there = lstat(path, &named) == 0 && fstat(fd, &locked) == 0;
    if (is_there && locked.st_ino == named.st_ino && locked.st_dev == named.st_dev) return fd;
    close(fd);
  }
  return -EAGAIN;
}

}  // namespace

// peerCredentials(fd)
napi_value PeerCredentials(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int fd;
  if (!call.Fd(0, &fd)) return nullptr;
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  call.state().Count(SystemCall::kGetSockOpt);
  Credentials credentials;
  int result = GetCredentials(fd, &credentials);
  if (result < 0) return call.Result(result);
  napi_value object;
  napi_create_object(env, &object);
  SetNumber(env, object, "pid", credentials.pid);
  SetNumber(env, object, "uid", credentials.uid);
  SetNumber(env, object, "gid", credentials.gid);
  return object;
}

// setMode(fd, mode)
napi_value SetMode(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int fd;
  int32_t mode;
  if (!call.Fd(0, &fd) || !call.Integer(1, "mode", &mode, 0, kModeMost)) return nullptr;
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  call.state().Count(SystemCall::kChmod);
  return call.Result(fchmod(fd, static_cast<mode_t>(mode)) < 0 ? -errno : 0);
}

// setPathMode(path, mode)
napi_value SetPathMode(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  std::string path;
  int32_t mode;
  int error;
  if (!ReadPath(call, &path, &error) || !call.Integer(1, "mode", &mode, 0, kModeMost)) {
    return nullptr;
  }
  if (error != 0) return call.Result(error);
  call.state().Count(SystemCall::kChmod);
  return call.Result(chmod(path.c_str(), static_cast<mode_t>(mode)) < 0 ? -errno : 0);
}

// fileIdentity(path)
napi_value FileIdentity(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  std::string path;
  int error;
  if (!ReadPath(call, &path, &error)) return nullptr;
  if (error != 0) return call.Result(error);
  call.state().Count(SystemCall::kStat);
  struct stat file;
  if (lstat(path.c_str(), &file) < 0) return call.Result(-errno);
  std::string id = std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino);
  napi_value object, value;
  napi_create_object(env, &object);
  napi_create_string_latin1(env, id.data(), id.size(), &value);
  napi_set_named_property(env, object, "id", value);
  SetNumber(env, object, "mode", file.st_mode & kModeMost);
  napi_get_boolean(env, S_ISSOCK(file.st_mode), &value);
  napi_set_named_property(env, object, "isSocket", value);
  return object;
}

// unlink(path)
napi_value Unlink(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  std::string path;
  int error;
  if (!ReadPath(call, &path, &error)) return nullptr;
  if (error != 0) return call.Result(error);
  call.state().Count(SystemCall::kUnlink);
  return call.Result(unlink(path.c_str()) < 0 ? -errno : 0);
}

// lockFile(path)
napi_value LockFile(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  std::string path;
  int error;
  if (!ReadPath(call, &path, &error)) return nullptr;
  if (error != 0) return call.Result(error);
  int fd = OpenLocked(call.state(), path.c_str());
  return call.Result(fd < 0 ? fd : call.state().Own(fd));
}

}  // namespace sockmux
