// Native objects that JavaScript names by a small integer id. A guard is a JavaScript value that
// removes its object when it is collected, for objects that were dropped without being closed.
#ifndef SOCKMUX_HANDLE_TABLE_H_
#define SOCKMUX_HANDLE_TABLE_H_

#include <node_api.h>

#include <memory>
#include <vector>

namespace sockmux {

template <class Handle>
class HandleTable {
 public:
  // Ids count from 1, so that 0 names nothing.
  int Add(std::unique_ptr<Handle> handle) {
    if (!free_.empty()) {
      int id = free_.back();
      free_.pop_back();
      slots_[static_cast<size_t>(id - 1)].handle = std::move(handle);
      return id;
    }
    slots_.push_back({std::move(handle), nullptr});
    return static_cast<int>(slots_.size());
  }

  Handle* Find(int id) const {
    auto index = static_cast<unsigned>(id) - 1u;
    return index < slots_.size() ? slots_[index].handle.get() : nullptr;
  }

  void Remove(int id) {
    if (Find(id) == nullptr) return;
    Slot& slot = slots_[static_cast<size_t>(id - 1)];
    if (slot.guard != nullptr) slot.guard->table = nullptr;
    slot.guard = nullptr;
    free_.push_back(id);
    slot.handle.reset();
  }

  void Clear() {
    for (size_t i = 0; i < slots_.size(); ++i) Remove(static_cast<int>(i + 1));
  }

  napi_value NewGuard(napi_env env, int id) {
    auto* guard = new Guard{this, id};
    auto finalize = [](napi_env, void* data, void*) {
      auto* mine = static_cast<Guard*>(data);
      if (mine->table != nullptr) mine->table->Remove(mine->id);
      delete mine;
    };
    napi_value value;
    if (napi_create_external(env, guard, finalize, nullptr, &value) != napi_ok) {
      delete guard;
      return nullptr;
    }
    slots_[static_cast<size_t>(id - 1)].guard = guard;
    return value;
  }

 private:
  // Outlives its object and the table, because the garbage collector decides when it goes.
  struct Guard {
    HandleTable* table;
    int id;
  };
  struct Slot {
    std::unique_ptr<Handle> handle;
    Guard* guard;
  };

  std::vector<Slot> slots_;
  std::vector<int> free_;
};

}  // namespace sockmux

#endif  // SOCKMUX_HANDLE_TABLE_H_
