// What this operating system has, decided in one place.
#ifndef SOCKMUX_PLATFORM_H_
#define SOCKMUX_PLATFORM_H_

#if defined(__linux__)
#define SOCKMUX_EPOLL 1
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__DragonFly__)
#define SOCKMUX_KQUEUE 1
#endif

// socket(SOCK_NONBLOCK | SOCK_CLOEXEC), accept4 and pipe2: descriptors born with their flags.
#if !defined(__APPLE__)
#define SOCKMUX_ATOMIC_FLAGS 1
#endif

#endif  // SOCKMUX_PLATFORM_H_
