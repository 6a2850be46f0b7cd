// GETs by libcurl's multi_socket_action on an epoll loop of our own: `client-libcurl URL total warmup parallel
// connections fresh` keeps `parallel` transfers going on at most `connections` connections, and prints one line
// of JSON about the `total` that follow `warmup`. fresh: a new connection for each.
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 1024

static CURLM *multi;
static int poller;
static double deadline = -1;
static long failed;

static size_t on_data(char *bytes, size_t size, size_t count, void *data) {
  (void)bytes, (void)data;
  return size * count;
}

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

static int on_timer(CURLM *handle, long timeout_ms, void *data) {
  (void)handle, (void)data;
  deadline = timeout_ms < 0 ? -1 : now() + (double)timeout_ms / 1000;
  return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *known) {
  (void)easy, (void)data;
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
    return 0;
  }
  struct epoll_event event = {.events = 0, .data.fd = fd};
  if (what & CURL_POLL_IN) event.events |= EPOLLIN;
  if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
  epoll_ctl(poller, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
  if (known == NULL) curl_multi_assign(multi, fd, &poller);
  return 0;
}

static void turn(void) {
  static struct epoll_event events[EVENTS_MAX];
  int running, wait_ms = 1000;
  if (deadline >= 0) {
    double left = (deadline - now()) * 1000;
    wait_ms = left <= 0 ? 0 : (int)left + 1;
  }
  int count = epoll_wait(poller, events, EVENTS_MAX, wait_ms);
  for (int i = 0; i < count; i++) {
    int bits = 0;
    if (events[i].events & EPOLLIN) bits |= CURL_CSELECT_IN;
    if (events[i].events & EPOLLOUT) bits |= CURL_CSELECT_OUT;
    if (events[i].events & (EPOLLERR | EPOLLHUP)) bits |= CURL_CSELECT_ERR;
    curl_multi_socket_action(multi, events[i].data.fd, bits, &running);
  }
  if (deadline >= 0 && now() >= deadline) {
    deadline = -1;
    curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
}

// The handles are kept from one run to the next, as connections are.
static void run(CURL **handles, long parallel, long total) {
  long started = 0, done = 0;
  for (; started < parallel && started < total; started++) curl_multi_add_handle(multi, handles[started]);
  while (done < total) {
    int left;
    CURLMsg *message;
    turn();
    while ((message = curl_multi_info_read(multi, &left))) {
      CURL *easy = message->easy_handle;
      long status = 0;
      curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
      if (message->data.result != CURLE_OK || status != 200) failed++;
      done++;
      curl_multi_remove_handle(multi, easy);
      if (started < total) {
        started++;
        curl_multi_add_handle(multi, easy);
      }
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  long total = atol(argv[2]), warmup = atol(argv[3]), parallel = atol(argv[4]), connections = atol(argv[5]);
  curl_global_init(CURL_GLOBAL_ALL);
  multi = curl_multi_init();
  poller = epoll_create1(0);
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections);
  curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
  CURL **handles = calloc((size_t)parallel, sizeof *handles);
  for (long i = 0; i < parallel; i++) {
    handles[i] = curl_easy_init();
    curl_easy_setopt(handles[i], CURLOPT_URL, argv[1]);
    curl_easy_setopt(handles[i], CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(handles[i], CURLOPT_FORBID_REUSE, atol(argv[6]));
    curl_easy_setopt(handles[i], CURLOPT_FRESH_CONNECT, atol(argv[6]));
  }
  run(handles, parallel, warmup);
  double begin = now(), cpu_begin = cpu();
  run(handles, parallel, total);
  double seconds = now() - begin, used = cpu() - cpu_begin;
  printf("{\"description\":\"libcurl %s\",\"seconds\":%.6f,\"cpuSeconds\":%.6f,\"failed\":%ld}\n",
         curl_version_info(CURLVERSION_NOW)->version, seconds, used, failed);
  return 0;
}
