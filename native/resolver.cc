#include "resolver.h"

#include <errno.h>
#include <netdb.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "address.h"
#include "call.h"
#include "verbs.h"

namespace sockmux {

namespace {

// Loops whose resolver is gone while getaddrinfo still works for them. Never destroyed, because
// threads of the pool may outlive every destructor.
struct Orphans {
  std::mutex mutex;
  std::atomic<int> count{0};
  std::vector<std::unique_ptr<PrivateLoop>> loops;
};

Orphans& AllOrphans() {
  static auto* orphans = new Orphans;
  return *orphans;
}

void Park(std::unique_ptr<PrivateLoop> loop) {
  Orphans& orphans = AllOrphans();
  std::lock_guard<std::mutex> lock(orphans.mutex);
  orphans.loops.push_back(std::move(loop));
  orphans.count.store(static_cast<int>(orphans.loops.size()), std::memory_order_release);
}

void Reap() {
  Orphans& orphans = AllOrphans();
  if (orphans.count.load(std::memory_order_acquire) == 0) return;
  std::lock_guard<std::mutex> lock(orphans.mutex);
  std::erase_if(orphans.loops, [](const std::unique_ptr<PrivateLoop>& loop) {
    loop->Run();
    return loop->Idle();
  });
  orphans.count.store(static_cast<int>(orphans.loops.size()), std::memory_order_release);
}

constexpr size_t kHostnameMax = 1024;
constexpr size_t kErrorNameMax = 64;

napi_value ErrorName(napi_env env, int status) {
  napi_value result;
  if (status == 0) {
    napi_get_null(env, &result);
    return result;
  }
  char name[kErrorNameMax];
  // Node's word for the two ways in which a name server says that there is nothing.
  bool unknown = status == UV_EAI_NONAME || status == UV_EAI_NODATA;
  const char* text = unknown ? "ENOTFOUND" : uv_err_name_r(status, name, sizeof name);
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &result);
  return result;
}

napi_value AddressesOf(napi_env env, const addrinfo* first) {
  napi_value result;
  napi_create_array(env, &result);
  uint32_t count = 0;
  for (const addrinfo* entry = first; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6) continue;
    napi_set_element(env, result, count++, AddressToObject(env, entry->ai_addr, entry->ai_addrlen));
  }
  return result;
}

void Delete(Lookup* lookup) {
  uv_freeaddrinfo(lookup->request.addrinfo);
  delete lookup;
}

}  // namespace

int PrivateLoop::Open() {
  // The size is the running libuv's, which may be newer than the header's.
  loop_ = static_cast<uv_loop_t*>(malloc(uv_loop_size()));
  if (loop_ == nullptr) return -ENOMEM;
  int error = uv_loop_init(loop_);
  if (error != 0) {
    free(loop_);
    loop_ = nullptr;
    return error;
  }
  uv_async_init(loop_, &announcement_, [](uv_async_t*) {});
  // libuv enters its descriptors in the backend when it first polls. The handle above makes the
  // loop alive, so that it does so here; from now on each answer makes the backend's descriptor
  // readable by itself.
  Run();
  return 0;
}

PrivateLoop::~PrivateLoop() {
  if (loop_ == nullptr) return;
  while (Lookup* lookup = Next()) Delete(lookup);
  uv_close(reinterpret_cast<uv_handle_t*>(&announcement_), nullptr);
  Run();
  uv_loop_close(loop_);
  free(loop_);
}

int PrivateLoop::Start(int query, const char* hostname, int domain) {
  auto* lookup = new Lookup;
  lookup->loop = this;
  lookup->query = query;
  // One entry per address rather than one per kind of socket. No AI_ADDRCONFIG: it hides 127.0.0.1
  // and ::1 on a machine without a network, and who connects learns soon enough that a family has
  // no route.
  addrinfo hints = {};
  hints.ai_family = domain;
  hints.ai_socktype = SOCK_STREAM;
  int error = uv_getaddrinfo(loop_, &lookup->request, OnAnswer, hostname, nullptr, &hints);
  if (error != 0) {
    delete lookup;
    return error;
  }
  ++pending_;
  running_.emplace(query, lookup);
  return query;
}

void PrivateLoop::OnAnswer(uv_getaddrinfo_t* request, int status, addrinfo*) {
  auto* lookup = reinterpret_cast<Lookup*>(request);
  PrivateLoop* self = lookup->loop;
  --self->pending_;
  lookup->status = status;
  if (lookup->query == 0) {
    Delete(lookup);
    return;
  }
  self->running_.erase(lookup->query);
  self->finished_.push_back(lookup);
}

void PrivateLoop::Cancel(int query) {
  auto found = running_.find(query);
  if (found != running_.end()) {
    Lookup* lookup = found->second;
    running_.erase(found);
    lookup->query = 0;
    // Succeeds when no thread has begun; otherwise the answer is thrown away when it comes.
    uv_cancel(reinterpret_cast<uv_req_t*>(&lookup->request));
    return;
  }
  std::erase_if(finished_, [query](Lookup* lookup) {
    if (lookup->query != query) return false;
    Delete(lookup);
    return true;
  });
}

void PrivateLoop::CancelAll() {
  while (!running_.empty()) Cancel(running_.begin()->first);
}

void PrivateLoop::Announce() {
  if (!finished_.empty()) uv_async_send(&announcement_);
}

Lookup* PrivateLoop::Next() {
  if (finished_.empty()) return nullptr;
  Lookup* lookup = finished_.front();
  finished_.pop_front();
  return lookup;
}

Resolver::~Resolver() {
  loop->CancelAll();
  loop->Run();
  if (!loop->Idle()) Park(std::move(loop));
}

// resolverOpen() → { id, fd, guard }, or -errno
napi_value ResolverOpen(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  Reap();
  auto loop = std::make_unique<PrivateLoop>();
  int error = loop->Open();
  if (error != 0) return call.Result(error);
  napi_value fd = call.Result(loop->fd());
  int id = call.state().resolvers.Add(std::make_unique<Resolver>(std::move(loop)));
  napi_value result;
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "id", call.Result(id));
  napi_set_named_property(env, result, "fd", fd);
  napi_set_named_property(env, result, "guard", call.state().resolvers.NewGuard(env, id));
  return result;
}

// resolverLookup(id, hostname, family | 0) → query, or -errno
napi_value ResolverLookup(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  int32_t id, family;
  if (!call.Integer(0, "resolver", &id)) return nullptr;
  char hostname[kHostnameMax];
  size_t length;
  if (napi_get_value_string_utf8(env, call.value(1), hostname, sizeof hostname, &length) !=
      napi_ok) {
    ThrowTypeError(env, "hostname", "must be a string");
    return nullptr;
  }
  if (!call.Integer(2, "family", &family)) return nullptr;
  if (family != 0 && family != kFamilyIpv4 && family != kFamilyIpv6) {
    return call.OutOfRange("family", "must be IPV4, IPV6 or 0");
  }
  Resolver* resolver = call.state().resolvers.Find(id);
  if (resolver == nullptr) return call.Result(-EBADF);
  if (length == 0 || std::string(hostname).size() != length) return call.Result(-EINVAL);
  if (length == kHostnameMax - 1) return call.Result(-ENAMETOOLONG);
  Reap();
  resolver->last_query = resolver->last_query == INT32_MAX ? 1 : resolver->last_query + 1;
  call.state().Count(SystemCall::kGetAddrInfo);
  int domain = family == 0 ? AF_UNSPEC : DomainOf(family);
  return call.Result(resolver->loop->Start(resolver->last_query, hostname, domain));
}

// resolverCancel(id, query)
napi_value ResolverCancel(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int32_t id, query;
  if (!call.Integer(0, "resolver", &id) || !call.Integer(1, "query", &query)) return nullptr;
  Resolver* resolver = call.state().resolvers.Find(id);
  if (resolver != nullptr && query > 0) resolver->loop->Cancel(query);
  return nullptr;
}

// resolverCollect(id): takes in what has arrived
napi_value ResolverCollect(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id;
  if (!call.Integer(0, "resolver", &id)) return nullptr;
  Resolver* resolver = call.state().resolvers.Find(id);
  if (resolver == nullptr) return nullptr;
  Reap();
  resolver->loop->Run();
  return nullptr;
}

// resolverNext(id) → { query, addresses, error }, or undefined when nothing is left
napi_value ResolverNext(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id;
  if (!call.Integer(0, "resolver", &id)) return nullptr;
  Resolver* resolver = call.state().resolvers.Find(id);
  Lookup* lookup = resolver == nullptr ? nullptr : resolver->loop->Next();
  if (lookup == nullptr) return nullptr;
  napi_value result;
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "query", call.Result(lookup->query));
  napi_set_named_property(env, result, "addresses", AddressesOf(env, lookup->request.addrinfo));
  napi_set_named_property(env, result, "error", ErrorName(env, lookup->status));
  Delete(lookup);
  return result;
}

// resolverAnnounce(id): makes the descriptor readable again when answers are left
napi_value ResolverAnnounce(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id;
  if (!call.Integer(0, "resolver", &id)) return nullptr;
  Resolver* resolver = call.state().resolvers.Find(id);
  if (resolver != nullptr) resolver->loop->Announce();
  return nullptr;
}

// resolverClose(id)
napi_value ResolverClose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id;
  if (!call.Integer(0, "resolver", &id)) return nullptr;
  call.state().resolvers.Remove(id);
  return nullptr;
}

}  // namespace sockmux
