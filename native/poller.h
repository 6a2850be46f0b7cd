// The contract of a readiness backend. A port to another mechanism is one file that implements
// Poller.
//
// - Level-triggered unless a flag says otherwise. Spurious readiness is allowed; the system call
//   decides.
// - Readiness is told per descriptor, once per wait, with both directions merged. A hang-up is
//   READABLE, an error is ERROR and every direction that was asked for (ReadinessOf in readiness.h
//   has the table).
// - The kernel keeps the registrations. What a backend remembers beside them may be out of date,
//   because a descriptor may be closed (and its number reused) without a word: every verb tolerates
//   that, and flags of a registration that the kernel has forgotten do not come back to life.
// - Interest 0 and Remove are the same: several mechanisms report hang-ups that nobody asked for,
//   without end.
// - Wait makes one system call, allocates nothing, and returns 0 after a signal. Fewer pairs fit
//   than are ready: the rest comes first in one of the next waits, whoever is busiest.
// - Results are ≥ 0 or -errno; nothing throws. Descriptors are born close-on-exec and entered in
//   the descriptor table as internal ones.
#ifndef SOCKMUX_POLLER_H_
#define SOCKMUX_POLLER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "environment.h"
#include "platform.h"
#include "readiness.h"

namespace sockmux {

enum PollerFlag : int { kEdgeTriggered = 1, kOneShot = 2, kExclusive = 4 };
inline constexpr int kAllPollerFlags = kEdgeTriggered | kOneShot | kExclusive;

class Poller {
 public:
  // `ready` has room for `capacity` pairs [fd, readiness] and is kept alive until the poller is
  // gone.
  Poller(Environment& state, Block* ready, int capacity)
      : state_(state),
        block_(ready),
        ready_(reinterpret_cast<int32_t*>(ready->bytes)),
        capacity_(capacity) {}
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  virtual ~Poller() { block_->Release(); }

  // Opens what the backend needs. After a failure only the destructor may be called.
  virtual int Open() = 0;
  // Pollable itself, or -1.
  virtual int fd() const = 0;
  virtual int Add(int fd, int interest, int flags) = 0;
  virtual int Modify(int fd, int interest) = 0;
  virtual int Remove(int fd) = 0;
  // Pairs written to `ready`.
  virtual int Wait(int timeout_ms) = 0;
  // The current or the next wait returns.
  virtual int Wakeup() = 0;

 protected:
  // A descriptor of the poller's own, with the generation that guards its closing.
  struct OwnFd {
    int fd = -1;
    int32_t generation = 0;
  };
  int Keep(int fd, OwnFd* own) {
    if (fd < 0) return fd;
    int32_t generation = fd_table::Open(fd, state_.owner, fd_table::kInternal);
    if (generation < 0) return generation;
    *own = {fd, generation};
    return 0;
  }
  void Drop(const OwnFd& own) {
    if (own.fd < 0) return;
    state_.Count(SystemCall::kClose);
    fd_table::CloseInternal(own.fd, state_.owner, own.generation);
  }

  void Report(int index, int fd, int readiness) {
    ready_[2 * index] = fd;
    ready_[2 * index + 1] = readiness;
  }

  Environment& state_;
  Block* block_;
  int32_t* ready_;
  int capacity_;
};

// A small value per descriptor, for what a backend remembers. Absent descriptors have the value
// T{}.
template <class T>
class PerFd {
 public:
  T Get(int fd) const {
    auto index = static_cast<size_t>(fd);
    return index < values_.size() ? values_[index] : T{};
  }
  void Set(int fd, T value) {
    auto index = static_cast<size_t>(fd);
    if (index >= values_.size()) {
      if (value == T{}) return;
      values_.resize(index + 1 + index / 2);
    }
    values_[index] = value;
  }

 private:
  std::vector<T> values_;
};

using PollerFactory = std::unique_ptr<Poller>(Environment& state, Block* ready, int capacity);

PollerFactory NewPollPoller;
#if defined(SOCKMUX_EPOLL)
PollerFactory NewEpollPoller;
#endif
#if defined(SOCKMUX_KQUEUE)
PollerFactory NewKqueuePoller;
#endif

}  // namespace sockmux

#endif  // SOCKMUX_POLLER_H_
