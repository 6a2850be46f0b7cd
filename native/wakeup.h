// A descriptor that becomes readable when signalled and stays so until cleared: an eventfd, or a
// kqueue with a user event, which is one descriptor as well and can be watched like one.
#ifndef SOCKMUX_WAKEUP_H_
#define SOCKMUX_WAKEUP_H_

namespace sockmux {

struct Environment;

namespace wakeup {

// Each answers as a system call of the addon does: a result ≥ 0, or -errno.
int Create(Environment& state);
int Signal(int fd);
// 1 when it had been signalled, 0 when not.
int Clear(Environment& state, int fd);

}  // namespace wakeup
}  // namespace sockmux

#endif  // SOCKMUX_WAKEUP_H_
