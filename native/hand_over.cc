// Descriptors between threads: one is offered and claimed, once; another is shared and duplicated.
// Both go by generation, so that a number which was used again since is never taken for it.
#include <errno.h>
#include <fcntl.h>

#include "call.h"
#include "verbs.h"

namespace sockmux {

namespace {

int DuplicateNumber(int fd) {
  int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return duplicate < 0 ? -errno : duplicate;
}

// (fd, generation)
template <int32_t (*kVerb)(int, uint32_t, int32_t)>
napi_value ByGeneration(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int fd;
  int32_t generation;
  if (!call.Fd(0, &fd) || !call.Integer(1, "generation", &generation, 1)) return nullptr;
  return call.Result(kVerb(fd, call.state().owner, generation));
}

}  // namespace

// offer(fd)
napi_value Offer(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int fd;
  if (!call.Fd(0, &fd)) return nullptr;
  return call.Result(fd_table::Offer(fd, call.state().owner));
}

// claim(fd, generation)
napi_value Claim(napi_env env, napi_callback_info info) {
  return ByGeneration<fd_table::TakeOffered>(env, info);
}

// withdraw(fd, generation)
napi_value Withdraw(napi_env env, napi_callback_info info) {
  return ByGeneration<fd_table::Withdraw>(env, info);
}

// share(fd)
napi_value Share(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int fd;
  if (!call.Fd(0, &fd)) return nullptr;
  return call.Result(fd_table::Share(fd, call.state().owner));
}

// duplicate(fd, generation)
napi_value Duplicate(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int fd;
  int32_t generation;
  if (!call.Fd(0, &fd) || !call.Integer(1, "generation", &generation, 1)) return nullptr;
  Environment& state = call.state();
  state.Count(SystemCall::kFcntl);
  int duplicate = fd_table::Duplicate(fd, generation, DuplicateNumber);
  return call.Result(duplicate < 0 ? duplicate : state.Own(duplicate));
}

}  // namespace sockmux
