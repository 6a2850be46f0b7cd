/* A server of libmicrohttpd that answers every request with the same 13 bytes:
 * `server-libmicrohttpd [threads]` prints "listening PORT" and serves until its standard input
 * ends. One thread polls and serves with epoll; more are a pool. */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char body[] = "Hello, world!";
static struct MHD_Response *response;

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request_context) {
  static int seen;
  (void)context, (void)url, (void)method, (void)version, (void)upload;
  /* The first call of a request tells the head only; without a body the second may answer. */
  if (*request_context == NULL) {
    *request_context = &seen;
    return MHD_YES;
  }
  if (*upload_size != 0) {
    *upload_size = 0;
    return MHD_YES;
  }
  return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

int main(int count, char **parameters) {
  unsigned int threads = count > 1 ? (unsigned int)atoi(parameters[1]) : 1;
  response = MHD_create_response_from_buffer(sizeof body - 1, (void *)body, MHD_RESPMEM_PERSISTENT);
  MHD_add_response_header(response, "Content-Type", "text/plain");
  struct MHD_OptionItem pool[] = {
      {threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_CONNECTION_TIMEOUT,
       threads > 1 ? threads : 60, NULL},
      {MHD_OPTION_END, 0, NULL},
  };
  struct MHD_Daemon *daemon =
      MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, NULL,
                       MHD_OPTION_CONNECTION_LIMIT, 20000u, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
  if (daemon == NULL) {
    fprintf(stderr, "the daemon does not start\n");
    return 1;
  }
  const union MHD_DaemonInfo *port = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
  printf("listening %u\n", (unsigned)port->port);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  MHD_stop_daemon(daemon);
  return 0;
}
