// What the peers of the readiness benchmark share: the parameters, the ring of pipes, the rounds and
// the answer, one line of JSON on stdout. A peer gives its description and a function that waits
// once and calls on_readable for every event.
#ifndef BENCH_PEERS_READINESS_H
#define BENCH_PEERS_READINESS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct ring {
  int pipes, active, writes, warmups, repeats;
  const char *backend;
  int (*ends)[2];
  int reads_left, writes_left;
};

static struct ring ring;

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static int positive(const char *text) {
  char *end;
  long number = strtol(text, &end, 10);
  if (*text == '\0' || *end != '\0' || number < 0 || number > INT_MAX) {
    fprintf(stderr, "not a count: %s\n", text);
    exit(2);
  }
  return (int)number;
}

static void open_ring(int argc, char **argv) {
  if (argc != 7) {
    fprintf(stderr, "usage: %s backend pipes active writes warmups repeats\n", argv[0]);
    exit(2);
  }
  ring.backend = argv[1];
  ring.pipes = positive(argv[2]);
  ring.active = positive(argv[3]);
  ring.writes = positive(argv[4]);
  ring.warmups = positive(argv[5]);
  ring.repeats = positive(argv[6]);
  if (ring.active < 1 || ring.active > ring.pipes) {
    fprintf(stderr, "active must be 1 to pipes\n");
    exit(2);
  }
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  ring.ends = calloc((size_t)ring.pipes, sizeof *ring.ends);
  if (ring.ends == NULL) fail("calloc");
  for (int i = 0; i < ring.pipes; i++) {
    if (pipe(ring.ends[i]) < 0) fail("pipe");
    for (int end = 0; end < 2; end++) {
      if (fcntl(ring.ends[i][end], F_SETFL, O_NONBLOCK) < 0) fail("fcntl");
    }
  }
}

static inline void write_byte(int index) {
  if (write(ring.ends[index][1], "e", 1) != 1) fail("write");
}

static inline void on_readable(int index) {
  char byte;
  if (read(ring.ends[index][0], &byte, 1) != 1) fail("read");
  ring.reads_left--;
  if (ring.writes_left == 0) return;
  ring.writes_left--;
  write_byte(index + 1 == ring.pipes ? 0 : index + 1);
}

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long run_round(void (*wait_once)(void)) {
  int stride = ring.pipes / ring.active;
  for (int i = 0; i < ring.active; i++) write_byte(i * stride);
  ring.reads_left = ring.active + ring.writes;
  ring.writes_left = ring.writes;
  long long start = now_ns();
  while (ring.reads_left > 0) {
    int before = ring.reads_left;
    wait_once();
    if (ring.reads_left == before) {
      fprintf(stderr, "nothing was ready although bytes are under way\n");
      exit(1);
    }
  }
  return now_ns() - start;
}

static void run_rounds(const char *description, void (*wait_once)(void)) {
  for (int i = 0; i < ring.warmups; i++) run_round(wait_once);
  printf("{\"description\":\"%s\",\"nanoseconds\":[", description);
  for (int i = 0; i < ring.repeats; i++) printf("%s%lld", i == 0 ? "" : ",", run_round(wait_once));
  printf("]}\n");
}

#endif
