// getaddrinfo on libuv's thread pool, announced by a descriptor: a private loop's, so that any
// other loop can watch it.
#ifndef SOCKMUX_RESOLVER_H_
#define SOCKMUX_RESOLVER_H_

#include <uv.h>

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

namespace sockmux {

class PrivateLoop;

struct Lookup {
  uv_getaddrinfo_t request;
  PrivateLoop* loop;
  int query;  // 0 once orphaned
  int status;
};

// Outlives its resolver while getaddrinfo is running for it: nothing waits for a name server.
// Whatever thread opens or uses a resolver next reaps it.
class PrivateLoop {
 public:
  ~PrivateLoop();
  // 0, or -errno.
  int Open();
  int fd() const { return uv_backend_fd(loop_); }
  int Start(int query, const char* hostname, int domain);
  void Cancel(int query);
  void CancelAll();
  // Turns the loop once without waiting.
  void Run() { uv_run(loop_, UV_RUN_NOWAIT); }
  // Makes the descriptor readable when answers are left.
  void Announce();
  // nullptr when there is none. The caller deletes it, and its addresses.
  Lookup* Next();
  bool Idle() const { return pending_ == 0; }

 private:
  static void OnAnswer(uv_getaddrinfo_t* request, int status, addrinfo* addresses);

  uv_loop_t* loop_ = nullptr;
  uv_async_t announcement_;
  int pending_ = 0;
  std::unordered_map<int, Lookup*> running_;
  std::deque<Lookup*> finished_;
};

class Resolver {
 public:
  explicit Resolver(std::unique_ptr<PrivateLoop> of) : loop(std::move(of)) {}
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  // Never waits: a loop that is still at work is parked.
  ~Resolver();

  std::unique_ptr<PrivateLoop> loop;
  int last_query = 0;
};

}  // namespace sockmux

#endif  // SOCKMUX_RESOLVER_H_
