// The readiness benchmark on libevent: persistent events on one event_base, as its documentation advises.
#include <event2/event.h>
#include <stdint.h>

#include "readiness.h"

#define DESCRIPTION_MAX 128

static struct event_base *base;

static void on_event(evutil_socket_t fd, short what, void *index) {
  (void)fd;
  (void)what;
  on_readable((int)(intptr_t)index);
}

static void wait_once(void) {
  if (event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0) fail("event_base_loop");
}

// libevent takes its best method unless the better ones are ruled out.
static struct event_base *open_base(void) {
  struct event_config *config = event_config_new();
  if (config == NULL) fail("event_config_new");
  const char **methods = event_get_supported_methods();
  for (int i = 0; methods[i] != NULL; i++) {
    if (strcmp(methods[i], ring.backend) != 0) event_config_avoid_method(config, methods[i]);
  }
  struct event_base *opened = event_base_new_with_config(config);
  event_config_free(config);
  return opened;
}

int main(int argc, char **argv) {
  open_ring(argc, argv);
  base = open_base();
  if (base == NULL) {
    fprintf(stderr, "this libevent has no method %s\n", ring.backend);
    return 2;
  }
  for (int i = 0; i < ring.pipes; i++) {
    struct event *event =
        event_new(base, ring.ends[i][0], EV_READ | EV_PERSIST, on_event, (void *)(intptr_t)i);
    if (event == NULL || event_add(event, NULL) < 0) fail("event_add");
  }
  char description[DESCRIPTION_MAX];
  snprintf(description, sizeof description, "libevent %s, %s", event_get_version(), event_base_get_method(base));
  run_rounds(description, wait_once);
  return 0;
}
