// The numbers of Interest and Readiness in lib/sys/readiness.ts, and how poll(2) spells them. epoll
// uses the same bits as poll on Linux, which poller_epoll.cc asserts.
#ifndef SOCKMUX_READINESS_H_
#define SOCKMUX_READINESS_H_

#include <poll.h>

#include <cstdint>

namespace sockmux {

inline constexpr int kReadable = 1;
inline constexpr int kWritable = 2;
inline constexpr int kError = 4;
inline constexpr int kBothDirections = kReadable | kWritable;
// Interest.REMOVE; to a poller it means the same as no interest.
inline constexpr int kRemove = 4;

inline short PollEvents(int interest) {
  return static_cast<short>(((interest & kReadable) != 0 ? POLLIN : 0) |
                            ((interest & kWritable) != 0 ? POLLOUT : 0));
}

// A hang-up is something to read (the end of the stream). Whoever did not ask for that hears it as
// the direction that was asked for, because poll and epoll repeat a hang-up until somebody acts.
inline int ReadinessOf(uint32_t events, int interest) {
  int readiness = 0;
  if ((events & POLLIN) != 0) readiness |= kReadable;
  if ((events & POLLOUT) != 0) readiness |= kWritable;
  if ((events & (POLLERR | POLLNVAL)) != 0) return kError | readiness | interest;
  if ((events & POLLHUP) != 0) readiness |= (interest & kReadable) != 0 ? kReadable : interest;
  return readiness;
}

}  // namespace sockmux

#endif  // SOCKMUX_READINESS_H_
