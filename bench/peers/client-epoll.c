// The floor under every client: GETs on epoll, one send and one recv each, no parsing: `client-epoll URL total warmup
// parallel connections fresh`, as client-libcurl takes them. It keeps one request going on each connection; what was
// received counts as an answer when it is as long as the first one.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 1024
#define PIECE_BYTES 16384

static int port, poller;
static long is_fresh, failed, answer_bytes;
static char request[128];
static size_t request_bytes;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 + (double)usage.ru_stime.tv_sec +
         (double)usage.ru_stime.tv_usec / 1e6;
}

// Over loopback connecting takes no time, so it need not be awaited by the poller.
static int open_connection(void) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    perror("connect");
    exit(1);
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
  return fd;
}

static void ask(int fd) {
  if (send(fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes) failed++;
}

static void run(int *fds, long connections, long total) {
  static struct epoll_event events[EVENTS_MAX];
  static char piece[PIECE_BYTES];
  long started = 0, done = 0;
  for (; started < connections && started < total; started++) {
    if (is_fresh || fds[started] < 0) fds[started] = open_connection();
    ask(fds[started]);
  }
  while (done < total) {
    int count = epoll_wait(poller, events, EVENTS_MAX, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      ssize_t bytes = recv(fd, piece, sizeof piece, 0);
      if (answer_bytes == 0) answer_bytes = bytes;
      if (bytes != answer_bytes) failed++;
      done++;
      if (is_fresh) close(fd);
      if (started >= total) continue;
      started++;
      ask(is_fresh ? open_connection() : fd);
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  const char *colon = strrchr(argv[1], ':');
  if (colon == NULL) return 2;
  port = atoi(colon + 1);
  long total = atol(argv[2]), warmup = atol(argv[3]), connections = atol(argv[5]);
  is_fresh = atol(argv[6]);
  const char *format = "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n\r\n";
  request_bytes = (size_t)snprintf(request, sizeof request, format, port);
  poller = epoll_create1(0);
  int *fds = calloc((size_t)connections, sizeof *fds);
  for (long i = 0; i < connections; i++) fds[i] = -1;
  run(fds, connections, warmup);
  double begin = now(), cpu_begin = cpu();
  run(fds, connections, total);
  double seconds = now() - begin, used = cpu() - cpu_begin;
  printf("{\"description\":\"epoll\",\"seconds\":%.6f,\"cpuSeconds\":%.6f,\"failed\":%ld}\n", seconds, used, failed);
  return 0;
}
