// One poller on Node's own loop: a uv_poll_t on its descriptor, a timer, and an idle and check pair
// for "soon".
#ifndef SOCKMUX_NODE_LOOP_H_
#define SOCKMUX_NODE_LOOP_H_

namespace sockmux {

class NodeLoopHandles;

// Handles of libuv close later than they are asked to, so they live apart and delete themselves.
class NodeLoop {
 public:
  explicit NodeLoop(NodeLoopHandles* handles);
  NodeLoop(const NodeLoop&) = delete;
  NodeLoop& operator=(const NodeLoop&) = delete;
  ~NodeLoop();

  NodeLoopHandles* handles;
};

}  // namespace sockmux

#endif  // SOCKMUX_NODE_LOOP_H_
