// Readiness by kqueue(2). A kqueue has one filter per direction, so a descriptor may come up twice
// in one answer; the two are merged into one readiness before anyone sees them.
#include "platform.h"
#if defined(SOCKMUX_KQUEUE)

#include <errno.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#include "descriptor.h"
#include "poller.h"

namespace sockmux {

namespace {

struct Registration {
  uint8_t interest = 0;
  uint8_t flags = 0;
  bool operator==(const Registration&) const = default;
};

class KqueuePoller final : public Poller {
 public:
  using Poller::Poller;

  ~KqueuePoller() override { Drop(kqueue_); }

  int Open() override {
    events_.resize(static_cast<size_t>(capacity_));
    state_.Count(SystemCall::kKqueue);
    int fd = kqueue();
    int error = Keep(fd < 0 ? -errno : fd, &kqueue_);
    if (error == 0) error = SetCloseOnExec(state_, kqueue_.fd);
    if (error != 0) return error;
    struct kevent change;
    EV_SET(&change, 0, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, nullptr);
    return Apply(&change, 1);
  }

  int fd() const override { return kqueue_.fd; }

  int Add(int fd, int interest, int flags) override {
    if (interest == 0) return Remove(fd);
    // A filter that is there keeps its EV_CLEAR or EV_ONESHOT when it is added again, so other
    // flags start afresh.
    Registration old = registrations_.Get(fd);
    if (old.interest != 0 && old.flags != flags) Remove(fd);
    return Change(fd, interest, flags);
  }

  int Modify(int fd, int interest) override {
    if (interest == 0) return Remove(fd);
    int result = Change(fd, interest, registrations_.Get(fd).flags);
    if (result != -EBADF) return result;
    registrations_.Set(fd, {});
    return 0;
  }

  int Remove(int fd) override {
    int interest = registrations_.Get(fd).interest;
    registrations_.Set(fd, {});
    if (interest == 0) return 0;
    struct kevent changes[2];
    int count = Delete(changes, 0, fd, interest);
    int result = Apply(changes, count);
    return result == -EBADF ? 0 : result;
  }

  int Wait(int timeout_ms) override {
    struct timespec timeout = {timeout_ms / 1000, (timeout_ms % 1000) * 1000000L};
    state_.Count(SystemCall::kKevent);
    int received = kevent(kqueue_.fd, nullptr, 0, events_.data(), capacity_,
                          timeout_ms < 0 ? nullptr : &timeout);
    if (received < 0) return errno == EINTR ? 0 : -errno;
    int count = 0;
    for (int i = 0; i < received; ++i) {
      const struct kevent& event = events_[static_cast<size_t>(i)];
      if (event.filter != EVFILT_USER) count = Merge(event, count);
    }
    for (int i = 0; i < count; ++i) Disarm(ready_[2 * i], ready_[2 * i + 1]);
    return count;
  }

  int Wakeup() override {
    struct kevent change;
    EV_SET(&change, 0, EVFILT_USER, 0, NOTE_TRIGGER, 0, nullptr);
    return Apply(&change, 1);
  }

 private:
  static int DirectionOf(int filter) { return filter == EVFILT_READ ? kReadable : kWritable; }

  static int Delete(struct kevent* changes, int count, int fd, int interest) {
    auto ident = static_cast<uintptr_t>(fd);
    if ((interest & kReadable) != 0) {
      EV_SET(&changes[count++], ident, EVFILT_READ, EV_DELETE, 0, 0, nullptr);
    }
    if ((interest & kWritable) != 0) {
      EV_SET(&changes[count++], ident, EVFILT_WRITE, EV_DELETE, 0, 0, nullptr);
    }
    return count;
  }

  // EV_RECEIPT makes the answer hold one result per change and no events, so that one refused
  // deletion does not hide a refused addition. EPIPE: some systems say that a pipe's reader is gone
  // and register all the same. ENOENT on deletion: a one-shot filter that fired, or a descriptor
  // that was closed.
  int Apply(struct kevent* changes, int count) {
    if (count == 0) return 0;
    struct kevent receipts[2];
    for (int i = 0; i < count; ++i) changes[i].flags |= EV_RECEIPT;
    state_.Count(SystemCall::kKevent);
    int received;
    do {
      received = kevent(kqueue_.fd, changes, count, receipts, count, nullptr);
    } while (received < 0 && errno == EINTR);
    if (received < 0) return -errno;
    for (int i = 0; i < received; ++i) {
      if ((receipts[i].flags & EV_ERROR) == 0) continue;
      int error = static_cast<int>(receipts[i].data);
      if (error == 0 || error == EPIPE) continue;
      if (error == ENOENT && (changes[i].flags & EV_DELETE) != 0) continue;
      return -error;
    }
    return 0;
  }

  // What is wanted is added even when it should be there: the number may have been reused since.
  int Change(int fd, int interest, int flags) {
    auto ident = static_cast<uintptr_t>(fd);
    auto action = static_cast<uint16_t>(EV_ADD | ((flags & kEdgeTriggered) != 0 ? EV_CLEAR : 0) |
                                        ((flags & kOneShot) != 0 ? EV_ONESHOT : 0));
    struct kevent changes[2];
    int count = Delete(changes, 0, fd, registrations_.Get(fd).interest & ~interest);
    if ((interest & kReadable) != 0) {
      EV_SET(&changes[count++], ident, EVFILT_READ, action, 0, 0, nullptr);
    }
    if ((interest & kWritable) != 0) {
      EV_SET(&changes[count++], ident, EVFILT_WRITE, action, 0, 0, nullptr);
    }
    int result = Apply(changes, count);
    if (result == 0) {
      registrations_.Set(fd, {static_cast<uint8_t>(interest), static_cast<uint8_t>(flags)});
    }
    return result;
  }

  // EV_EOF with a value in fflags is an error of the socket; without one it is a hang-up, which the
  // filter's own direction tells (a read sees the end, a write sees EPIPE).
  int ReadinessOfEvent(const struct kevent& event, int interest) const {
    int readiness = DirectionOf(event.filter);
    bool failed =
        (event.flags & EV_ERROR) != 0 || ((event.flags & EV_EOF) != 0 && event.fflags != 0);
    return failed ? kError | readiness | interest : readiness;
  }

  // A pair of this wait already has the descriptor when the remembered place is inside the pairs
  // and names it; so the places need no clearing between waits.
  int Merge(const struct kevent& event, int count) {
    int fd = static_cast<int>(event.ident);
    int readiness = ReadinessOfEvent(event, registrations_.Get(fd).interest);
    int place = places_.Get(fd);
    if (place < count && ready_[2 * place] == fd) {
      ready_[2 * place + 1] |= readiness;
      return count;
    }
    places_.Set(fd, place = count);
    Report(count, fd, readiness);
    return count + 1;
  }

  // One-shot is per filter, and asked for per descriptor: when only one of two filters fired, the
  // other goes too.
  void Disarm(int fd, int readiness) {
    Registration registration = registrations_.Get(fd);
    if ((registration.flags & kOneShot) == 0) return;
    struct kevent changes[2];
    Apply(changes, Delete(changes, 0, fd, registration.interest & ~readiness));
  }

  std::vector<struct kevent> events_;
  PerFd<Registration> registrations_;
  PerFd<int> places_;
  OwnFd kqueue_;
};

}  // namespace

std::unique_ptr<Poller> NewKqueuePoller(Environment& state, Block* ready, int capacity) {
  return std::make_unique<KqueuePoller>(state, ready, capacity);
}

}  // namespace sockmux

#endif  // SOCKMUX_KQUEUE
