// What one environment (the main thread, or a worker) has of the addon: no verb touches anything
// outside it, except through the process-wide descriptor table.
#ifndef SOCKMUX_ENVIRONMENT_H_
#define SOCKMUX_ENVIRONMENT_H_

#include <node_api.h>
#include <poll.h>

#include <cstdint>
#include <vector>

#include "buffers.h"
#include "fd_table.h"
#include "handle_table.h"
#include "system_call.h"

namespace sockmux {

class Inflater;
class Poller;
class Resolver;
class NodeLoop;

struct Environment {
  explicit Environment(napi_env environment);
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment();

  // Closes all that is open. Runs before the environment's finalizers.
  void Close();

  void Count(SystemCall call) { ++calls[static_cast<int>(call)]; }
  bool Owns(int fd) const { return fd_table::Owns(fd, owner); }
  // The descriptor, now owned; or -errno, and it is closed.
  int Own(int fd, fd_table::Kind kind = fd_table::kPlain);
  int CloseFd(int fd, int32_t generation = 0);

  napi_env env;
  uint32_t owner;
  uint64_t calls[kSystemCallCount] = {};
  BufferTable buffers;
  HandleTable<Poller> pollers;
  HandleTable<Resolver> resolvers;
  HandleTable<NodeLoop> node_loops;
  HandleTable<Inflater> inflaters;
  std::vector<pollfd> poll_entries;  // reused by every poll()
};

}  // namespace sockmux

#endif  // SOCKMUX_ENVIRONMENT_H_
