// Load on a server: `load PORT connections milliseconds rate text` sends `text` on each connection and awaits an
// answer as long as the first one was, again and again. With a rate (per second in all; 0: as fast as answers
// come) requests are due at fixed times, and latency counts from when one was due, sent late or not. Prints one
// line of JSON.
#include <arpa/inet.h>
#include <errno.h>
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
#define PIECE_BYTES 65536
#define SILENCE_S 0.05
#define PATIENCE_S 5
// Latencies by size, 1/16 apart: bucket = 16 * log2.
#define BUCKETS 1024

struct connection {
  int fd, is_busy;
  long awaited, queued;
  double due;
};

static struct connection *all;
static long connections, requests, failures, answer_bytes;
static double period;
static const char *text;
static size_t text_bytes;
static long buckets[BUCKETS];
static char piece[PIECE_BYTES];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int bucket_of(double seconds) {
  unsigned long ns = seconds <= 0 ? 1 : (unsigned long)(seconds * 1e9);
  int high = 63 - __builtin_clzl(ns | 16);
  int bucket = (high - 4) * 16 + (int)(ns >> (high - 4)) - 16;
  return bucket < 0 ? 0 : bucket >= BUCKETS ? BUCKETS - 1 : bucket;
}

static double percentile_us(double part) {
  long left = (long)(part * (double)requests);
  for (int i = 0; i < BUCKETS; i++) {
    left -= buckets[i];
    if (left < 0) return (double)((16UL + (unsigned long)i % 16) << (i / 16)) / 1e3;
  }
  return 0;
}

static void send_request(struct connection *one) {
  one->is_busy = 1;
  one->awaited = answer_bytes;
  if (send(one->fd, text, text_bytes, MSG_NOSIGNAL) != (ssize_t)text_bytes) {
    failures++;
    one->is_busy = 0;
  }
}

static int open_connection(int port) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

// How long an answer is: what comes until the connection falls silent.
static long first_answer(int fd) {
  long bytes = 0;
  struct timeval wait = {5, 0};
  if (send(fd, text, text_bytes, MSG_NOSIGNAL) != (ssize_t)text_bytes) fail("send");
  for (;;) {
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    ssize_t count = recv(fd, piece, sizeof piece, 0);
    if (count <= 0) break;
    bytes += count;
    wait.tv_sec = 0;
    wait.tv_usec = (suseconds_t)(SILENCE_S * 1e6);
  }
  if (bytes == 0) fail("no answer");
  return bytes;
}

static void read_answer(struct connection *one) {
  ssize_t count = recv(one->fd, piece, sizeof piece, MSG_DONTWAIT);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) fail("the server ended a connection");
  one->awaited -= count;
  if (one->awaited > 0) return;
  double end = now();
  buckets[bucket_of(end - one->due)]++;
  requests++;
  one->is_busy = 0;
  if (period > 0) {
    if (one->queued == 0) return;
    one->queued--;
    one->due += period * (double)connections;
  } else {
    one->due = end;
  }
  send_request(one);
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  int port = atoi(argv[1]), poller = epoll_create1(0);
  connections = atol(argv[2]);
  double seconds = atof(argv[3]) / 1000, rate = atof(argv[4]);
  period = rate > 0 ? 1 / rate : 0;
  text = argv[5];
  text_bytes = strlen(text);
  all = calloc((size_t)connections, sizeof *all);
  for (long i = 0; i < connections; i++) {
    all[i].fd = open_connection(port);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (unsigned)i};
    epoll_ctl(poller, EPOLL_CTL_ADD, all[i].fd, &event);
  }
  answer_bytes = first_answer(all[0].fd);
  static struct epoll_event events[EVENTS_MAX];
  double begin = now(), end = begin + seconds, time = begin;
  long sequence = 0;
  for (long i = 0; period == 0 && i < connections; i++) {
    all[i].due = now();
    send_request(&all[i]);
  }
  // A machine that is too busy to answer at all in so short a time is given some more.
  while ((time = now()) < end || (requests == 0 && time < end + PATIENCE_S)) {
    for (; period > 0 && begin + (double)sequence * period <= time; sequence++) {
      struct connection *one = &all[sequence % connections];
      if (one->is_busy) {
        one->queued++;
        continue;
      }
      one->due = begin + (double)sequence * period;
      send_request(one);
    }
    // Never asleep between requests that are due: this core has nothing else to do.
    int count = epoll_wait(poller, events, EVENTS_MAX, period > 0 ? 0 : 100);
    for (int i = 0; i < count; i++) read_answer(&all[events[i].data.u32]);
  }
  printf("{\"requests\":%ld,\"seconds\":%.6f,\"failures\":%ld,\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p999\":%.2f}\n",
         requests, now() - begin, failures, percentile_us(0.5), percentile_us(0.9), percentile_us(0.99),
         percentile_us(0.999));
  return 0;
}
