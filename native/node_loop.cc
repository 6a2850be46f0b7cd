#include "node_loop.h"

#include <errno.h>
#include <uv.h>

#include <algorithm>
#include <cmath>

#include "call.h"
#include "verbs.h"

namespace sockmux {

namespace {
constexpr double kTimerMax = 9007199254740991.0;
constexpr uint64_t kNanosecondsPerMillisecond = 1000000;
}  // namespace

class NodeLoopHandles {
 public:
  // nullptr, and -errno, when libuv cannot watch the descriptor.
  static NodeLoopHandles* Create(napi_env env, int fd, napi_value callback, int* error) {
    auto* self = new NodeLoopHandles(env);
    napi_get_uv_event_loop(env, &self->loop_);
    *error = uv_poll_init(self->loop_, &self->poll_, fd);
    if (*error != 0) {
      delete self;
      return nullptr;
    }
    self->Prepare(callback);
    *error = uv_poll_start(&self->poll_, UV_READABLE, [](uv_poll_t* handle, int, int) {
      static_cast<NodeLoopHandles*>(handle->data)->Run(false);
    });
    if (*error == 0) return self;
    self->Close();
    return nullptr;
  }

  void SetTimer(double ms) {
    if (closing_) return;
    uv_timer_stop(&timer_);
    uv_idle_stop(&idle_);
    uv_check_stop(&check_);
    if (ms < 0) return;
    if (ms == 0) {
      StartSoon();
    } else {
      StartTimer(ms);
    }
  }

  void Ref() { uv_ref(reinterpret_cast<uv_handle_t*>(&poll_)); }
  void Unref() { uv_unref(reinterpret_cast<uv_handle_t*>(&poll_)); }

  void Close() {
    if (closing_) return;
    closing_ = true;
    napi_delete_reference(env_, callback_);
    napi_delete_reference(env_, trampoline_);
    napi_async_destroy(env_, context_);
    uv_handle_t* handles[] = {
        reinterpret_cast<uv_handle_t*>(&poll_), reinterpret_cast<uv_handle_t*>(&timer_),
        reinterpret_cast<uv_handle_t*>(&idle_), reinterpret_cast<uv_handle_t*>(&check_)};
    for (uv_handle_t* handle : handles) uv_close(handle, OnClosed);
  }

  NodeLoop* owner = nullptr;

 private:
  explicit NodeLoopHandles(napi_env env) : env_(env) {}

  void Prepare(napi_value callback) {
    uv_timer_init(loop_, &timer_);
    uv_idle_init(loop_, &idle_);
    uv_check_init(loop_, &check_);
    poll_.data = timer_.data = idle_.data = check_.data = this;
    // The poll handle alone decides whether the process lives on.
    uv_unref(reinterpret_cast<uv_handle_t*>(&timer_));
    uv_unref(reinterpret_cast<uv_handle_t*>(&idle_));
    uv_unref(reinterpret_cast<uv_handle_t*>(&check_));
    napi_create_reference(env_, callback, 1, &callback_);
    napi_value name, trampoline;
    napi_create_string_utf8(env_, "sockmux", NAPI_AUTO_LENGTH, &name);
    napi_async_init(env_, nullptr, name, &context_);
    napi_create_function(env_, "sockmux", NAPI_AUTO_LENGTH, Trampoline, this, &trampoline);
    napi_create_reference(env_, trampoline, 1, &trampoline_);
    napi_add_async_cleanup_hook(env_, OnEnvironmentCleanup, this, &hook_);
  }

  // The end of the environment waits until the hook is removed, which the last closed handle does.
  static void OnEnvironmentCleanup(napi_async_cleanup_hook_handle, void* data) {
    static_cast<NodeLoopHandles*>(data)->Close();
  }

  static void OnClosed(uv_handle_t* handle) {
    auto* self = static_cast<NodeLoopHandles*>(handle->data);
    if (--self->open_handles_ > 0) return;
    if (self->owner != nullptr) self->owner->handles = nullptr;
    napi_remove_async_cleanup_hook(self->hook_);
    delete self;
  }

  // libuv's clock may be behind by as long as JavaScript has been running, and it drops fractions:
  // the due time is computed from the precise clock, so that the timer is never early.
  void StartTimer(double ms) {
    double now = static_cast<double>(uv_hrtime()) / kNanosecondsPerMillisecond;
    auto due = static_cast<uint64_t>(std::ceil(now + std::min(ms, kTimerMax)));
    uv_update_time(loop_);
    uint64_t loop_now = uv_now(loop_);
    uv_timer_start(
        &timer_, [](uv_timer_t* handle) { static_cast<NodeLoopHandles*>(handle->data)->Run(true); },
        due > loop_now ? due - loop_now : 0, 0);
  }

  // The idle handle keeps the loop from sleeping, the check handle runs once it has polled.
  void StartSoon() {
    uv_idle_start(&idle_, [](uv_idle_t*) {});
    uv_check_start(&check_, [](uv_check_t* handle) {
      auto* self = static_cast<NodeLoopHandles*>(handle->data);
      uv_idle_stop(&self->idle_);
      uv_check_stop(&self->check_);
      self->Run(true);
    });
  }

  // Through napi_make_callback, so that ticks and microtasks run after it. An exception becomes
  // uncaughtException; that needs an entered context, which is why the user's function is called
  // from a native one.
  void Run(bool timed_out) {
    napi_handle_scope scope;
    if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
    napi_value trampoline, global, argument;
    napi_get_reference_value(env_, trampoline_, &trampoline);
    napi_get_global(env_, &global);
    napi_get_boolean(env_, timed_out, &argument);
    napi_make_callback(env_, context_, global, trampoline, 1, &argument, nullptr);
    // What is still pending comes from a thread that is being terminated.
    ClearException();
    napi_close_handle_scope(env_, scope);
  }

  napi_value ClearException() {
    bool pending = false;
    napi_is_exception_pending(env_, &pending);
    napi_value error = nullptr;
    if (pending) napi_get_and_clear_last_exception(env_, &error);
    return error;
  }

  static napi_value Trampoline(napi_env env, napi_callback_info info) {
    size_t count = 1;
    napi_value argument, receiver, callback;
    void* data;
    napi_get_cb_info(env, info, &count, &argument, &receiver, &data);
    auto* self = static_cast<NodeLoopHandles*>(data);
    napi_get_reference_value(env, self->callback_, &callback);
    napi_call_function(env, receiver, callback, 1, &argument, nullptr);
    napi_value error = self->ClearException();
    if (error != nullptr) napi_fatal_exception(env, error);
    return nullptr;
  }

  napi_env env_;
  uv_loop_t* loop_ = nullptr;
  uv_poll_t poll_;
  uv_timer_t timer_;
  uv_idle_t idle_;
  uv_check_t check_;
  int open_handles_ = 4;
  bool closing_ = false;
  napi_ref callback_ = nullptr;
  napi_ref trampoline_ = nullptr;
  napi_async_context context_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
};

NodeLoop::NodeLoop(NodeLoopHandles* of) : handles(of) { handles->owner = this; }

NodeLoop::~NodeLoop() {
  if (handles == nullptr) return;
  handles->owner = nullptr;
  handles->Close();
}

namespace {

napi_value OnLoop(napi_env env, napi_callback_info info, void (*act)(NodeLoopHandles*)) {
  Call<1> call(env, info);
  int32_t id;
  if (!call.Integer(0, "loop", &id)) return nullptr;
  NodeLoop* loop = call.state().node_loops.Find(id);
  if (loop != nullptr && loop->handles != nullptr) act(loop->handles);
  return nullptr;
}

}  // namespace

// nodeLoopOpen(pollerFd, callback) → id, or -errno
napi_value NodeLoopOpen(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int fd;
  if (!call.Integer(0, "pollerFd", &fd, 0)) return nullptr;
  napi_valuetype type;
  napi_typeof(env, call.value(1), &type);
  if (type != napi_function) {
    ThrowTypeError(env, "callback", "must be a function");
    return nullptr;
  }
  int error;
  NodeLoopHandles* handles = NodeLoopHandles::Create(env, fd, call.value(1), &error);
  if (handles == nullptr) return call.Result(error);
  return call.Result(call.state().node_loops.Add(std::make_unique<NodeLoop>(handles)));
}

// nodeLoopSetTimer(id, ms): -1 none, 0 soon but never from inside this call
napi_value NodeLoopSetTimer(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int32_t id;
  double ms;
  if (!call.Integer(0, "loop", &id) || !call.Number(1, "ms", &ms)) return nullptr;
  if (std::isnan(ms)) return call.OutOfRange("ms", "must not be NaN");
  NodeLoop* loop = call.state().node_loops.Find(id);
  if (loop != nullptr && loop->handles != nullptr)
    loop->handles->SetTimer(std::isinf(ms) ? -1 : ms);
  return nullptr;
}

napi_value NodeLoopRef(napi_env env, napi_callback_info info) {
  return OnLoop(env, info, [](NodeLoopHandles* handles) { handles->Ref(); });
}
napi_value NodeLoopUnref(napi_env env, napi_callback_info info) {
  return OnLoop(env, info, [](NodeLoopHandles* handles) { handles->Unref(); });
}

napi_value NodeLoopClose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id;
  if (!call.Integer(0, "loop", &id)) return nullptr;
  call.state().node_loops.Remove(id);
  return nullptr;
}

}  // namespace sockmux
