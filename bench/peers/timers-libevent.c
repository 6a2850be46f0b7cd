// Timers on libevent's event_base: `timers-libevent count repeats` arms `count` timers, cancels them, arms them
// again and lets them expire, and prints one line of JSON: nanoseconds of each, per repeat.
#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LATER_MS 60000
#define SOON_US 10000

static long expired;

static void on_timer(evutil_socket_t fd, short what, void *data) {
  (void)fd, (void)what, (void)data;
  expired++;
}

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

// The same sequence in every subject.
static uint32_t draw(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  long count = atol(argv[1]), repeats = atol(argv[2]);
  struct event_base *base = event_base_new();
  struct event **events = calloc((size_t)count, sizeof *events);
  long *order = calloc((size_t)count, sizeof *order);
  long long *times = calloc((size_t)repeats * 3, sizeof *times);
  uint32_t state = 1;
  for (long i = 0; i < count; i++) events[i] = evtimer_new(base, on_timer, NULL);
  for (long i = 0; i < count; i++) order[i] = i;
  for (long i = count - 1; i > 0; i--) {
    long j = draw(&state) % (i + 1), other = order[j];
    order[j] = order[i];
    order[i] = other;
  }
  // One more than is told, which warms up.
  for (long repeat = -1; repeat < repeats; repeat++) {
    long long begin = now_ns();
    for (long i = 0; i < count; i++) {
      long ms = 1 + draw(&state) % LATER_MS;
      struct timeval later = {ms / 1000, ms % 1000 * 1000};
      evtimer_add(events[i], &later);
    }
    long long armed = now_ns();
    for (long i = 0; i < count; i++) evtimer_del(events[order[i]]);
    long long cancelled = now_ns();
    for (long i = 0; i < count; i++) {
      struct timeval soon = {0, 1 + draw(&state) % SOON_US};
      evtimer_add(events[i], &soon);
    }
    // Its clock is a coarse one.
    usleep(2 * SOON_US);
    expired = 0;
    long long due = now_ns();
    while (expired < count) event_base_loop(base, EVLOOP_NONBLOCK);
    long long end = now_ns();
    if (repeat < 0) continue;
    times[repeat] = armed - begin;
    times[repeats + repeat] = cancelled - armed;
    times[2 * repeats + repeat] = end - due;
  }
  const char *names[] = {"arm", "cancel", "expire"};
  printf("{\"description\":\"libevent %s\"", event_get_version());
  for (long i = 0; i < 3; i++) {
    printf(",\"%s\":[", names[i]);
    for (long k = 0; k < repeats; k++) printf("%s%lld", k == 0 ? "" : ",", times[i * repeats + k]);
    printf("]");
  }
  printf("}\n");
  return 0;
}
