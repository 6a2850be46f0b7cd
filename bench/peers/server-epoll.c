// The floor under every server that says hello: epoll, one recv and one send for whatever came, no parsing. Requests
// are counted by their empty lines. `server-epoll` prints "listening PORT" and serves until its standard input ends.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 1024
#define PIECE_BYTES 16384
#define TOGETHER_MAX 256

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
    "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\nHello, world!";
static const char last_answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
    "Connection: close\r\n\r\nHello, world!";
static char answers[TOGETHER_MAX * (sizeof answer - 1)];
static char piece[PIECE_BYTES];
static int poller;

static void watch(int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void serve(int fd) {
  ssize_t bytes = recv(fd, piece, sizeof piece - 1, 0);
  if (bytes <= 0) {
    close(fd);
    return;
  }
  piece[bytes] = 0;
  size_t count = 0;
  const char *end = piece;
  while (count < TOGETHER_MAX && (end = memmem(end, (size_t)(piece + bytes - end), "\r\n\r\n", 4)) != NULL) {
    count++;
    end += 4;
  }
  // wrk asks for the end of a connection in these words.
  if (count == 1 && strstr(piece, "Connection: close") != NULL) {
    send(fd, last_answer, sizeof last_answer - 1, MSG_NOSIGNAL);
    close(fd);
    return;
  }
  send(fd, answers, count * (sizeof answer - 1), MSG_NOSIGNAL);
}

int main(void) {
  static struct epoll_event events[EVENTS_MAX];
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  for (size_t i = 0; i < TOGETHER_MAX; i++) memcpy(answers + i * (sizeof answer - 1), answer, sizeof answer - 1);
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
      } else if (fd == 0) {
        if (read(0, piece, sizeof piece) <= 0) return 0;
      } else {
        serve(fd);
      }
    }
  }
}
