// A server that echoes what it reads, on epoll and nothing else: `echo-epoll` prints "listening PORT" and serves
// until its standard input ends.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 1024
#define PIECE_BYTES 65536

static int poller;

static void watch(int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

int main(void) {
  static char piece[PIECE_BYTES];
  static struct epoll_event events[EVENTS_MAX];
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 4096) < 0) return 1;
  getsockname(listener, (struct sockaddr *)&address, &length);
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);
  poller = epoll_create1(0);
  watch(listener);
  watch(0);
  for (;;) {
    int count = epoll_wait(poller, events, EVENTS_MAX, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (peer < 0) continue;
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(peer);
        continue;
      }
      ssize_t bytes = read(fd, piece, sizeof piece);
      if (fd == 0 && bytes <= 0) return 0;
      if (fd == 0) continue;
      // The load never sends more than a socket buffer holds.
      if (bytes <= 0 || send(fd, piece, (size_t)bytes, MSG_NOSIGNAL) != bytes) close(fd);
    }
  }
}
