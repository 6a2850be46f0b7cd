// Readiness by epoll(7).
#include "platform.h"
#if defined(SOCKMUX_EPOLL)

#include <errno.h>
#include <sys/epoll.h>

#include "poller.h"
#include "wakeup.h"

namespace sockmux {

namespace {

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR &&
              EPOLLHUP == POLLHUP);

// What an event carries: the descriptor and its interest, because a hang-up is told in the terms
// that were asked for.
constexpr int kInterestBits = 2;
constexpr uint64_t kWakeupData = UINT64_MAX;

// Set in the remembered flags of every descriptor that is registered as far as we know.
constexpr uint8_t kPresent = 0x80;

class EpollPoller final : public Poller {
 public:
  using Poller::Poller;

  ~EpollPoller() override {
    Drop(wakeup_);
    Drop(epoll_);
  }

  int Open() override {
    events_.resize(static_cast<size_t>(capacity_));
    state_.Count(SystemCall::kEpollCreate);
    int fd = epoll_create1(EPOLL_CLOEXEC);
    int error = Keep(fd < 0 ? -errno : fd, &epoll_);
    if (error == 0) error = Keep(wakeup::Create(state_), &wakeup_);
    if (error != 0) return error;
    // Edge-triggered: every signal is one event, and nothing has to be read to end it.
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = kWakeupData;
    return Call(EPOLL_CTL_ADD, wakeup_.fd, &event);
  }

  int fd() const override { return epoll_.fd; }

  int Add(int fd, int interest, int flags) override {
    if (interest == 0) return Remove(fd);
    if ((flags_.Get(fd) & kPresent) == 0) {
      int result = Control(EPOLL_CTL_ADD, fd, interest, flags);
      if (result != -EEXIST) return result;
    }
    return Change(fd, interest, flags, flags);
  }

  int Modify(int fd, int interest) override {
    if (interest == 0) return Remove(fd);
    uint8_t flags = flags_.Get(fd);
    if ((flags & kPresent) == 0) {
      int result = Control(EPOLL_CTL_ADD, fd, interest, 0);
      return result == -EBADF ? 0 : result;
    }
    int result = Change(fd, interest, flags & ~kPresent, 0);
    if (result != -EBADF) return result;
    flags_.Set(fd, 0);
    return 0;
  }

  int Remove(int fd) override {
    if ((flags_.Get(fd) & kPresent) == 0) return 0;
    flags_.Set(fd, 0);
    int result = Call(EPOLL_CTL_DEL, fd, nullptr);
    return result == -ENOENT || result == -EBADF || result == -EPERM ? 0 : result;
  }

  int Wait(int timeout_ms) override {
    state_.Count(SystemCall::kEpollWait);
    int received = epoll_wait(epoll_.fd, events_.data(), capacity_, timeout_ms);
    if (received < 0) return errno == EINTR ? 0 : -errno;
    int count = 0;
    for (int i = 0; i < received; ++i) {
      const epoll_event& event = events_[static_cast<size_t>(i)];
      if (event.data.u64 == kWakeupData) continue;
      int interest = static_cast<int>(event.data.u64 & kBothDirections);
      Report(count++, static_cast<int>(event.data.u64 >> kInterestBits),
             ReadinessOf(event.events, interest));
    }
    return count;
  }

  int Wakeup() override { return wakeup::Signal(wakeup_.fd); }

 private:
  int Call(int operation, int fd, epoll_event* event) {
    state_.Count(SystemCall::kEpollCtl);
    return epoll_ctl(epoll_.fd, operation, fd, event) < 0 ? -errno : 0;
  }

  int Control(int operation, int fd, int interest, int flags) {
    epoll_event event = {};
    event.events = static_cast<uint16_t>(PollEvents(interest));
    if ((flags & kEdgeTriggered) != 0) event.events |= EPOLLET;
    if ((flags & kOneShot) != 0) event.events |= EPOLLONESHOT;
    if ((flags & kExclusive) != 0) event.events |= EPOLLEXCLUSIVE;
    event.data.u64 = (static_cast<uint64_t>(fd) << kInterestBits) | static_cast<uint64_t>(interest);
    int result = Call(operation, fd, &event);
    if (result == 0) flags_.Set(fd, static_cast<uint8_t>(flags | kPresent));
    return result;
  }

  // A registration that should be there. When the kernel has forgotten it, the descriptor was
  // closed (and its number reused) since, and `fresh_flags` are for the new one.
  int Change(int fd, int interest, int flags, int fresh_flags) {
    // The kernel modifies neither from nor to exclusive.
    bool exclusive = ((flags_.Get(fd) | flags) & kExclusive) != 0;
    int result =
        exclusive ? Call(EPOLL_CTL_DEL, fd, nullptr) : Control(EPOLL_CTL_MOD, fd, interest, flags);
    if (exclusive && result == 0) return Control(EPOLL_CTL_ADD, fd, interest, flags);
    return result == -ENOENT ? Control(EPOLL_CTL_ADD, fd, interest, fresh_flags) : result;
  }

  std::vector<epoll_event> events_;
  PerFd<uint8_t> flags_;
  OwnFd epoll_;
  OwnFd wakeup_;
};

}  // namespace

std::unique_ptr<Poller> NewEpollPoller(Environment& state, Block* ready, int capacity) {
  return std::make_unique<EpollPoller>(state, ready, capacity);
}

}  // namespace sockmux

#endif  // SOCKMUX_EPOLL
