// The backends of this platform, and the verbs over them. JavaScript names a poller by a small id.
#include "poller.h"

#include <errno.h>

#include <cstring>

#include "call.h"
#include "verbs.h"

namespace sockmux {

namespace {

struct Backend {
  const char* name;
  PollerFactory* create;
  int flags;
};

// The platform's best comes first.
constexpr Backend kBackends[] = {
#if defined(SOCKMUX_EPOLL)
    {"epoll", NewEpollPoller, kEdgeTriggered | kOneShot | kExclusive},
#endif
#if defined(SOCKMUX_KQUEUE)
    {"kqueue", NewKqueuePoller, kEdgeTriggered | kOneShot},
#endif
    {"poll", NewPollPoller, kOneShot},
};

constexpr int32_t kCapacityMax = 1 << 20;
constexpr size_t kBytesPerPair = 2 * sizeof(int32_t);
constexpr size_t kNameMax = 16;

const Backend* FindBackend(const char* name) {
  for (const Backend& backend : kBackends) {
    if (strcmp(backend.name, name) == 0) return &backend;
  }
  return nullptr;
}

// False with an exception pending. A poller that is closed is nullptr, which the verbs answer with
// -EBADF.
template <size_t kArguments>
bool ReadTarget(Call<kArguments>& call, Poller** poller, int* fd, int* interest) {
  int32_t id;
  if (!call.Integer(0, "poller", &id) || !call.Fd(1, fd)) return false;
  if (interest != nullptr) {
    if (!call.Integer(2, "interest", interest, 0, kRemove)) return false;
    if (*interest == kRemove) *interest = 0;
  }
  *poller = call.state().pollers.Find(id);
  return true;
}

napi_value NewReady(napi_env env, Block* block) {
  napi_value memory = block->ToArrayBuffer(env);
  if (memory == nullptr) return nullptr;
  napi_value ready = nullptr;
  napi_create_typedarray(env, napi_int32_array, block->length / sizeof(int32_t), memory, 0, &ready);
  return ready;
}

}  // namespace

Napi::Object PollerBackends(Napi::Env env) {
  Napi::Object table = Napi::Object::New(env);
  for (const Backend& backend : kBackends) table.Set(backend.name, backend.flags);
  return table;
}

Napi::Object PollerFlags(Napi::Env env) {
  constexpr struct {
    const char* name;
    int flag;
  } kFlags[] = {
      {"edgeTriggered", kEdgeTriggered}, {"oneShot", kOneShot}, {"exclusive", kExclusive}};
  Napi::Object table = Napi::Object::New(env);
  for (const auto& entry : kFlags) table.Set(entry.name, entry.flag);
  return table;
}

// pollerOpen(backend, capacity) → { id, fd, ready, guard }, or -errno
napi_value PollerOpen(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  char name[kNameMax];
  size_t length;
  int32_t capacity;
  if (napi_get_value_string_utf8(env, call.value(0), name, sizeof name, &length) != napi_ok) {
    ThrowTypeError(env, "backend", "must be a string");
    return nullptr;
  }
  const Backend* backend = FindBackend(name);
  if (backend == nullptr) return call.OutOfRange("backend", "is not known on this platform");
  if (!call.Integer(1, "capacity", &capacity, 1, kCapacityMax)) return nullptr;
  Block* block = Block::Create(static_cast<size_t>(capacity) * kBytesPerPair);
  if (block == nullptr) return call.Result(-ENOMEM);
  std::unique_ptr<Poller> poller = backend->create(call.state(), block, capacity);
  int error = poller->Open();
  if (error != 0) return call.Result(error);
  napi_value ready = NewReady(env, block);
  if (ready == nullptr) return nullptr;
  napi_value fd = call.Result(poller->fd());
  int id = call.state().pollers.Add(std::move(poller));
  napi_value result;
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "id", call.Result(id));
  napi_set_named_property(env, result, "fd", fd);
  napi_set_named_property(env, result, "ready", ready);
  napi_set_named_property(env, result, "guard", call.state().pollers.NewGuard(env, id));
  return result;
}

// pollerAdd(id, fd, interest, flags)
napi_value PollerAdd(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  Poller* poller;
  int fd, interest, flags;
  if (!ReadTarget(call, &poller, &fd, &interest) ||
      !call.Integer(3, "flags", &flags, 0, kAllPollerFlags)) {
    return nullptr;
  }
  return call.Result(poller == nullptr || fd < 0 ? -EBADF : poller->Add(fd, interest, flags));
}

// pollerModify(id, fd, interest)
napi_value PollerModify(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  Poller* poller;
  int fd, interest;
  if (!ReadTarget(call, &poller, &fd, &interest)) return nullptr;
  if (poller == nullptr) return call.Result(-EBADF);
  // A negative number is a descriptor that is not there.
  return call.Result(fd < 0 ? 0 : poller->Modify(fd, interest));
}

// pollerRemove(id, fd)
napi_value PollerRemove(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  Poller* poller;
  int fd;
  if (!ReadTarget(call, &poller, &fd, nullptr)) return nullptr;
  if (poller == nullptr) return call.Result(-EBADF);
  // A negative number is a descriptor that is not there.
  return call.Result(fd < 0 ? 0 : poller->Remove(fd));
}

// pollerWait(id, timeoutMs)
napi_value PollerWait(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int32_t id;
  int timeout;
  if (!call.Integer(0, "poller", &id) || !call.Timeout(1, &timeout)) return nullptr;
  Poller* poller = call.state().pollers.Find(id);
  return call.Result(poller == nullptr ? -EBADF : poller->Wait(timeout));
}

// pollerWakeup(id)
napi_value PollerWakeup(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id;
  if (!call.Integer(0, "poller", &id)) return nullptr;
  Poller* poller = call.state().pollers.Find(id);
  return call.Result(poller == nullptr ? -EBADF : poller->Wakeup());
}

// pollerClose(id)
napi_value PollerClose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id;
  if (!call.Integer(0, "poller", &id)) return nullptr;
  call.state().pollers.Remove(id);
  return nullptr;
}

}  // namespace sockmux
