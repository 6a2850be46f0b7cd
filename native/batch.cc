// The batched verbs: one crossing for many transfers. Each operation is [fd, offset, length,
// result] in one Int32Array; all of them are checked before the first byte moves.
#include "call.h"
#include "transfer.h"
#include "verbs.h"

namespace sockmux {

namespace {

// BATCH_STRIDE in lib/sys/kernel.ts.
constexpr size_t kStride = 4;

template <TransferOperation kOperation>
napi_value Batch(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  int32_t id, count;
  int32_t* operations;
  if (!call.Integer(0, "bufferId", &id) ||
      !call.Entries(1, "operations", kStride, &operations, &count)) {
    return nullptr;
  }
  Environment& state = call.state();
  if (!state.buffers.Has(id)) return call.OutOfRange("bufferId", "is not allocated");
  Span span;
  size_t end = static_cast<size_t>(count) * kStride;
  for (size_t i = 0; i < end; i += kStride) {
    if (state.buffers.Resolve(id, operations[i + 1], operations[i + 2], &span)) continue;
    return call.OutOfRange("operations", "one reaches outside the buffer");
  }
  int32_t succeeded = 0;
  for (size_t i = 0; i < end; i += kStride) {
    int32_t fd = operations[i];
    int32_t result = -EBADF;
    if (state.Owns(fd)) {
      // Looked up again, because another thread may write to a shared array after the check.
      bool inside = state.buffers.Resolve(id, operations[i + 1], operations[i + 2], &span);
      result = inside ? kOperation(state, fd, span) : -EFAULT;
    }
    operations[i + 3] = result;
    succeeded += result >= 0 ? 1 : 0;
  }
  return call.Result(succeeded);
}

}  // namespace

napi_value ReadBatch(napi_env env, napi_callback_info info) { return Batch<ReadBytes>(env, info); }
napi_value WriteBatch(napi_env env, napi_callback_info info) {
  return Batch<WriteBytes>(env, info);
}
napi_value RecvBatch(napi_env env, napi_callback_info info) { return Batch<RecvBytes>(env, info); }
napi_value SendBatch(napi_env env, napi_callback_info info) {
  return Batch<SendBytesOf>(env, info);
}

}  // namespace sockmux
