#include "readiness.h"

#include <errno.h>

#include "call.h"
#include "verbs.h"

namespace sockmux {

namespace {
// POLL_STRIDE in lib/sys/kernel.ts: fd, interest, readiness.
constexpr size_t kStride = 3;
}  // namespace

// poll(entries, count, timeoutMs). A signal ends the wait with 0, so that JavaScript can see what
// it did.
napi_value Poll(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  int32_t* entries;
  int32_t count;
  int timeout;
  if (!call.Entries(0, "entries", kStride, &entries, &count) || !call.Timeout(2, &timeout)) {
    return nullptr;
  }
  auto& polled = call.state().poll_entries;
  auto size = static_cast<size_t>(count);
  if (polled.size() < size) polled.resize(size);
  for (size_t i = 0; i < size; ++i) {
    const int32_t* entry = entries + i * kStride;
    // Without an interest poll would still repeat a hang-up; a negative descriptor is passed over.
    bool wanted = (entry[1] & kBothDirections) != 0;
    polled[i] = {wanted ? entry[0] : -1, PollEvents(entry[1]), 0};
  }
  call.state().Count(SystemCall::kPoll);
  int ready = poll(polled.data(), static_cast<nfds_t>(size), timeout);
  if (ready < 0 && errno != EINTR) return call.Result(-errno);
  for (size_t i = 0; i < size; ++i) {
    int32_t* entry = entries + i * kStride;
    auto events = static_cast<uint32_t>(static_cast<uint16_t>(polled[i].revents));
    entry[2] = ready <= 0 ? 0 : ReadinessOf(events, entry[1] & kBothDirections);
  }
  return call.Result(ready < 0 ? 0 : ready);
}

}  // namespace sockmux
