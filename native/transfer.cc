#include "transfer.h"

#include <sys/uio.h>

#include <algorithm>

#include "call.h"
#include "verbs.h"

namespace sockmux {

namespace {

// SEGMENT_STRIDE in lib/sys/kernel.ts: buffer id, offset, length.
constexpr size_t kSegmentStride = 3;
// IOV_MAX of every system we know.
constexpr int32_t kSegmentsMax = 1024;

// More than ever wait in practice; the rest goes with the next call.
constexpr int32_t kPiecesMax = 64;

bool PieceAt(napi_env env, napi_value pieces, uint32_t index, Span* span) {
  napi_value piece;
  napi_typedarray_type type;
  void* data;
  if (napi_get_element(env, pieces, index, &piece) == napi_ok &&
      napi_get_typedarray_info(env, piece, &type, &span->length, &data, nullptr, nullptr) ==
          napi_ok &&
      type == napi_uint8_array) {
    span->bytes = static_cast<uint8_t*>(data);
    return true;
  }
  ThrowTypeError(env, "pieces", "must be an array of Uint8Arrays");
  return false;
}

// (fd, bufferId, offset, length)
template <TransferOperation kOperation>
napi_value Transfer(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  int fd;
  Span span;
  if (!call.Fd(0, &fd) || !call.Bytes(1, &span)) return nullptr;
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  return call.Result(kOperation(call.state(), fd, span));
}

// sendmsg, because writev has no MSG_NOSIGNAL; but a pipe takes only writev.
int32_t SendSegments(Environment& state, int fd, iovec* segments, int32_t count) {
  msghdr message = {};
  message.msg_iov = segments;
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
  int32_t result =
      Retry(state, SystemCall::kSendMsg, [&] { return sendmsg(fd, &message, kSendFlags); });
  if (result != -ENOTSOCK) return result;
  return Retry(state, SystemCall::kWritev, [=] { return writev(fd, segments, count); });
}

}  // namespace

napi_value Recv(napi_env env, napi_callback_info info) { return Transfer<RecvBytes>(env, info); }
napi_value Peek(napi_env env, napi_callback_info info) { return Transfer<PeekBytes>(env, info); }
napi_value Send(napi_env env, napi_callback_info info) { return Transfer<SendBytesOf>(env, info); }
napi_value Read(napi_env env, napi_callback_info info) { return Transfer<ReadBytes>(env, info); }
napi_value Write(napi_env env, napi_callback_info info) { return Transfer<WriteBytes>(env, info); }

// sendBytes(fd, bytes, offset, length)
napi_value SendBytes(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  int fd;
  void* data;
  size_t size;
  int32_t offset, length;
  if (!call.Fd(0, &fd) || !call.TypedArray(1, "bytes", napi_uint8_array, &data, &size) ||
      !call.Integer(2, "offset", &offset, 0) || !call.Integer(3, "length", &length, 0)) {
    return nullptr;
  }
  auto first = static_cast<size_t>(offset);
  auto wanted = static_cast<size_t>(length);
  if (first > size || wanted > size - first) {
    return call.OutOfRange("offset, length", "reach outside the bytes");
  }
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  // The data of an empty array may be null, to which nothing may be added.
  uint8_t* bytes = wanted == 0 ? nullptr : static_cast<uint8_t*>(data) + first;
  return call.Result(SendBytesOf(call.state(), fd, {bytes, wanted}));
}

// sendPieces(fd, pieces, first, sent)
napi_value SendPieces(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  int fd;
  int32_t first, sent;
  uint32_t length;
  if (!call.Fd(0, &fd)) return nullptr;
  if (napi_get_array_length(env, call.value(1), &length) != napi_ok) {
    ThrowTypeError(env, "pieces", "must be an array of Uint8Arrays");
    return nullptr;
  }
  if (!call.Integer(2, "first", &first, 0) || !call.Integer(3, "sent", &sent, 0)) return nullptr;
  iovec segments[kPiecesMax];
  int32_t count = 0;
  size_t total = 0;
  for (auto index = static_cast<uint32_t>(first); index < length && count < kPiecesMax; ++index) {
    Span span;
    if (!PieceAt(env, call.value(1), index, &span)) return nullptr;
    auto skipped = count == 0 ? static_cast<size_t>(sent) : 0;
    if (skipped > span.length) return call.OutOfRange("sent", "is more than the first piece has");
    // What goes beyond waits for the next call.
    size_t size = std::min(span.length - skipped, static_cast<size_t>(INT32_MAX) - total);
    // The data of an empty array may be null, to which nothing may be added.
    segments[count++] = {size == 0 ? nullptr : span.bytes + skipped, size};
    total += size;
  }
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  return call.Result(SendSegments(call.state(), fd, segments, count));
}

// writev(fd, segments, count)
napi_value Writev(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  int fd;
  int32_t* entries;
  int32_t count;
  if (!call.Fd(0, &fd) || !call.Entries(1, "segments", kSegmentStride, &entries, &count)) {
    return nullptr;
  }
  if (count > kSegmentsMax) return call.OutOfRange("count", "must be at most 1024");
  iovec segments[kSegmentsMax];
  int64_t total = 0;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t* entry = entries + static_cast<size_t>(i) * kSegmentStride;
    Span span;
    if (!call.state().buffers.Resolve(entry[0], entry[1], entry[2], &span)) {
      return call.OutOfRange("segments", "one reaches outside its buffer");
    }
    segments[i] = {span.bytes, span.length};
    total += entry[2];
  }
  if (total > INT32_MAX) return call.OutOfRange("segments", "are more than 2^31 - 1 bytes");
  if (!call.state().Owns(fd)) return call.Result(-EBADF);
  return call.Result(SendSegments(call.state(), fd, segments, count));
}

}  // namespace sockmux
