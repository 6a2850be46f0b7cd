#include "environment.h"

#include "call.h"
#include "inflate.h"
#include "node_loop.h"
#include "poller.h"
#include "resolver.h"
#include "verbs.h"

namespace sockmux {

Environment::Environment(napi_env environment) : env(environment), owner(fd_table::NewOwner()) {}

Environment::~Environment() = default;

void Environment::Close() {
  node_loops.Clear();
  resolvers.Clear();
  pollers.Clear();
  inflaters.Clear();
  fd_table::CloseAll(owner);
}

int Environment::Own(int fd, fd_table::Kind kind) {
  int32_t generation = fd_table::Open(fd, owner, kind);
  return generation < 0 ? generation : fd;
}

int Environment::CloseFd(int fd, int32_t generation) {
  Count(SystemCall::kClose);
  return fd_table::Close(fd, owner, generation);
}

// systemCalls() → { recv: 12, … }: what this environment asked of the operating system since it
// began.
napi_value SystemCalls(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  Napi::Object counts = Napi::Object::New(env);
  for (int i = 0; i < kSystemCallCount; ++i) {
    counts.Set(kSystemCallNames[i], static_cast<double>(call.state().calls[i]));
  }
  return counts;
}

// ownedCount(): descriptors of this environment, those of its pollers included.
napi_value OwnedCount(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  return call.Result(fd_table::Count(call.state().owner));
}

}  // namespace sockmux
