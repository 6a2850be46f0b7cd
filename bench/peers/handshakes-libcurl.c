// The handshakes benchmark on libcurl's multi interface: `handshakes-libcurl URL CA total parallel cache`
// makes `total` GETs, `parallel` at a time, each on a connection of its own, and prints one line of JSON.
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

static long resumed, failed;

static size_t on_head(char *line, size_t size, size_t count, void *data) {
  (void)data;
  if (!strncmp(line, "x-resumed: r", 12)) resumed++;
  return size * count;
}

static size_t on_data(char *bytes, size_t size, size_t count, void *data) {
  (void)bytes, (void)data;
  return size * count;
}

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

static double now(void) {
  struct timeval time;
  gettimeofday(&time, NULL);
  return seconds(time);
}

static double cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  long total = atol(argv[3]), parallel = atol(argv[4]), started = 0, done = 0;
  curl_global_init(CURL_GLOBAL_ALL);
  CURLM *multi = curl_multi_init();
  double begin = now(), cpu_begin = cpu();
  for (; started < parallel && started < total; started++) {
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
    curl_easy_setopt(easy, CURLOPT_CAINFO, argv[2]);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, atol(argv[5]));
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_multi_add_handle(multi, easy);
  }
  while (done < total) {
    int running, left;
    CURLMsg *message;
    if (curl_multi_perform(multi, &running) != CURLM_OK) return 1;
    while ((message = curl_multi_info_read(multi, &left))) {
      CURL *easy = message->easy_handle;
      if (message->data.result != CURLE_OK) failed++;
      done++;
      curl_multi_remove_handle(multi, easy);
      if (started < total) {
        started++;
        curl_multi_add_handle(multi, easy);
      } else {
        curl_easy_cleanup(easy);
      }
    }
    if (done < total) curl_multi_poll(multi, NULL, 0, 1000, NULL);
  }
  double wall = now() - begin, used = cpu() - cpu_begin;
  printf("{\"description\":\"%s\",\"seconds\":%.6f,\"cpuSeconds\":%.6f,\"resumed\":%ld,\"failed\":%ld}\n",
         curl_version(), wall, used, resumed, failed);
  curl_multi_cleanup(multi);
  return 0;
}
