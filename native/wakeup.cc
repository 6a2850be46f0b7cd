#include "wakeup.h"

#include <errno.h>
#include <unistd.h>

#include <cstdint>

#include "descriptor.h"
#include "environment.h"
#include "platform.h"

#if defined(SOCKMUX_EPOLL)
#include <sys/eventfd.h>
#elif defined(SOCKMUX_KQUEUE)
#include <sys/event.h>
#include <sys/time.h>
#endif

namespace sockmux::wakeup {

#if defined(SOCKMUX_EPOLL)

int Create(Environment& state) {
  state.Count(SystemCall::kEventFd);
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int Signal(int fd) {
  uint64_t one = 1;
  ssize_t result;
  do {
    result = write(fd, &one, sizeof one);
  } while (result < 0 && errno == EINTR);
  // EAGAIN: the counter is full, so it is signalled already.
  return result >= 0 || errno == EAGAIN ? 0 : -errno;
}

int Clear(Environment& state, int fd) {
  uint64_t counter;
  for (;;) {
    state.Count(SystemCall::kRead);
    if (read(fd, &counter, sizeof counter) >= 0) return 1;
    if (errno == EAGAIN) return 0;
    if (errno != EINTR) return -errno;
  }
}

#else

int Create(Environment& state) {
  state.Count(SystemCall::kKqueue);
  int fd = kqueue();
  if (fd < 0) return -errno;
  struct kevent event;
  EV_SET(&event, 0, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, nullptr);
  state.Count(SystemCall::kKevent);
  int result = kevent(fd, &event, 1, nullptr, 0, nullptr) < 0 ? -errno : SetCloseOnExec(state, fd);
  if (result == 0) return fd;
  close(fd);
  return result;
}

int Signal(int fd) {
  struct kevent event;
  EV_SET(&event, 0, EVFILT_USER, 0, NOTE_TRIGGER, 0, nullptr);
  int result;
  do {
    result = kevent(fd, &event, 1, nullptr, 0, nullptr);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : 0;
}

int Clear(Environment& state, int fd) {
  struct kevent event;
  struct timespec none = {0, 0};
  for (;;) {
    state.Count(SystemCall::kKevent);
    int result = kevent(fd, nullptr, 0, &event, 1, &none);
    if (result >= 0) return result;
    if (errno != EINTR) return -errno;
  }
}

#endif

}  // namespace sockmux::wakeup
