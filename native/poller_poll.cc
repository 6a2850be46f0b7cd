// Readiness by poll(2): everywhere, and an oracle for the other backends. Knows no edge and no
// exclusive wakeup.
#include <errno.h>
#include <fcntl.h>

#include "poller.h"
#include "wakeup.h"

namespace sockmux {

namespace {

class PollPoller final : public Poller {
 public:
  using Poller::Poller;

  ~PollPoller() override { Drop(wakeup_); }

  int Open() override {
    int error = Keep(wakeup::Create(state_), &wakeup_);
    if (error != 0) return error;
    entries_.push_back({wakeup_.fd, POLLIN, 0});
    details_.push_back({0, 0});
    return 0;
  }

  int fd() const override { return -1; }

  int Add(int fd, int interest, int flags) override {
    if (interest == 0) return Remove(fd);
    // poll would tell only later, and again and again, that there is no such descriptor.
    state_.Count(SystemCall::kFcntl);
    if (fcntl(fd, F_GETFD) < 0) return -errno;
    Set(fd, interest, flags);
    return 0;
  }

  int Modify(int fd, int interest) override {
    if (interest == 0) return Remove(fd);
    size_t index = index_.Get(fd);
    if (index == 0) {
      int result = Add(fd, interest, 0);
      return result == -EBADF ? 0 : result;
    }
    Set(fd, interest, details_[index].flags);
    return 0;
  }

  // The last entry moves to the free place.
  int Remove(int fd) override {
    uint32_t index = index_.Get(fd);
    if (index == 0) return 0;
    index_.Set(fd, 0);
    uint32_t last = static_cast<uint32_t>(entries_.size() - 1);
    if (index != last) {
      entries_[index] = entries_[last];
      details_[index] = details_[last];
      // A disarmed one-shot has no descriptor in its entry.
      index_.Set(FdOf(entries_[index]), index);
    }
    entries_.pop_back();
    details_.pop_back();
    return 0;
  }

  int Wait(int timeout_ms) override {
    state_.Count(SystemCall::kPoll);
    int ready = poll(entries_.data(), static_cast<nfds_t>(entries_.size()), timeout_ms);
    if (ready < 0) return errno == EINTR ? 0 : -errno;
    if (ready > 0 && entries_[0].revents != 0) {
      wakeup::Clear(state_, wakeup_.fd);
      --ready;
    }
    return ready > 0 ? Collect(ready) : 0;
  }

  int Wakeup() override { return wakeup::Signal(wakeup_.fd); }

 private:
  struct Detail {
    int interest;
    int flags;
  };

  // Disarmed entries keep their descriptor as its complement, which is negative, so poll passes
  // them over.
  static int FdOf(const pollfd& entry) { return entry.fd < 0 ? ~entry.fd : entry.fd; }

  void Set(int fd, int interest, int flags) {
    uint32_t index = index_.Get(fd);
    if (index == 0) {
      index = static_cast<uint32_t>(entries_.size());
      index_.Set(fd, index);
      entries_.push_back({});
      details_.push_back({});
    }
    entries_[index] = {fd, PollEvents(interest), 0};
    details_[index] = {interest, flags};
  }

  // Goes round from where the last wait stopped for lack of room, so that no descriptor is always
  // the one left out.
  int Collect(int ready) {
    size_t size = entries_.size();
    int count = 0;
    size_t index = next_ < size ? next_ : 1;
    for (size_t left = size - 1; left > 0 && ready > 0 && count < capacity_; --left) {
      size_t current = index;
      index = index + 1 < size ? index + 1 : 1;
      auto events = static_cast<uint32_t>(static_cast<uint16_t>(entries_[current].revents));
      if (events == 0) continue;
      --ready;
      if ((events & POLLNVAL) != 0) {
        closed_.push_back(entries_[current].fd);
        continue;
      }
      Report(count++, entries_[current].fd, ReadinessOf(events, details_[current].interest));
      if ((details_[current].flags & kOneShot) != 0) entries_[current].fd = ~entries_[current].fd;
    }
    next_ = index;
    // As with the other backends, closing a descriptor removes it.
    while (!closed_.empty()) {
      Remove(closed_.back());
      closed_.pop_back();
    }
    return count;
  }

  std::vector<pollfd> entries_;  // [0] is the wakeup
  std::vector<Detail> details_;
  PerFd<uint32_t> index_;
  std::vector<int> closed_;
  size_t next_ = 1;
  OwnFd wakeup_;
};

}  // namespace

std::unique_ptr<Poller> NewPollPoller(Environment& state, Block* ready, int capacity) {
  return std::make_unique<PollPoller>(state, ready, capacity);
}

}  // namespace sockmux
