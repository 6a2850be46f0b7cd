// The readiness benchmark on raw epoll: the floor, since nothing but the system calls is left.
#include <sys/epoll.h>

#include "readiness.h"

#define EVENTS_MAX 1024

static int epoll_fd;
static struct epoll_event events[EVENTS_MAX];

static void wait_once(void) {
  int count = epoll_wait(epoll_fd, events, EVENTS_MAX, 0);
  if (count < 0) fail("epoll_wait");
  for (int i = 0; i < count; i++) on_readable((int)events[i].data.u32);
}

int main(int argc, char **argv) {
  open_ring(argc, argv);
  if (strcmp(ring.backend, "epoll") != 0) {
    fprintf(stderr, "the only backend is epoll\n");
    return 2;
  }
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1");
  for (int i = 0; i < ring.pipes; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ring.ends[i][0], &event) < 0) fail("epoll_ctl");
  }
  run_rounds("raw epoll", wait_once);
  return 0;
}
