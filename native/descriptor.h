// How descriptors are born: non-blocking, closed on exec, without SIGPIPE, and all of that
// atomically where the system can. What is half made is closed again. Results are descriptors (not
// yet owned by anyone) or -errno.
#ifndef SOCKMUX_DESCRIPTOR_H_
#define SOCKMUX_DESCRIPTOR_H_

namespace sockmux {

struct Environment;

int NewSocket(Environment& state, int domain);
int AcceptSocket(Environment& state, int listener);

int SetCloseOnExec(Environment& state, int fd);
int SetNonBlocking(Environment& state, int fd);

}  // namespace sockmux

#endif  // SOCKMUX_DESCRIPTOR_H_
