// The calling thread and the scheduler. Linux gives every thread a niceness of its own; elsewhere
// it belongs to the process, and one thread must not change it for all.
#include <errno.h>
#if defined(__linux__)
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "call.h"
#include "verbs.h"

namespace sockmux {

namespace {

constexpr int kNicest = 19;
constexpr int kLeastNice = -20;

int SetNiceness(int niceness) {
#if defined(__linux__)
  auto thread = static_cast<id_t>(syscall(SYS_gettid));
  return setpriority(PRIO_PROCESS, thread, niceness) < 0 ? -errno : 0;
#else
  (void)niceness;
  return -ENOSYS;
#endif
}

// 1…40, the larger the more urgent, as the system call itself has it.
int Urgency() {
#if defined(__linux__)
  errno = 0;
  int niceness = getpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)));
  return errno != 0 ? -errno : kNicest + 1 - niceness;
#else
  return -ENOSYS;
#endif
}

}  // namespace

// setThreadNiceness(niceness)
napi_value SetThreadNiceness(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t niceness;
  if (!call.Integer(0, "niceness", &niceness, kLeastNice, kNicest)) return nullptr;
  return call.Result(SetNiceness(niceness));
}

// threadUrgency()
napi_value ThreadUrgency(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  return call.Result(Urgency());
}

}  // namespace sockmux
