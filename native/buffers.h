// Memory that both the kernel's verbs and JavaScript use. A block is freed when nobody needs it any
// more: it was released (or its environment ended) and every ArrayBuffer over it was collected. So
// a transferred ArrayBuffer never leaves a verb with a dangling pointer, and a released buffer
// never leaves JavaScript with one.
#ifndef SOCKMUX_BUFFERS_H_
#define SOCKMUX_BUFFERS_H_

#include <node_api.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace sockmux {

struct Block {
  std::atomic<int> references{1};
  size_t length;
  uint8_t* bytes;

  // nullptr when there is no memory.
  static Block* Create(size_t length);
  void Release();
  // A new ArrayBuffer over the whole block, holding one reference; nullptr with an exception
  // pending.
  napi_value ToArrayBuffer(napi_env env);
};

struct Span {
  uint8_t* bytes;
  size_t length;
};

// Ids are small, from 1. A released id waits behind all other free ones before it is handed out
// again, so that a use after release is likely to be caught.
class BufferTable {
 public:
  BufferTable() : blocks_(1, nullptr) {}
  BufferTable(const BufferTable&) = delete;
  BufferTable& operator=(const BufferTable&) = delete;
  ~BufferTable();

  int Add(Block* block);
  bool Release(int id);

  bool Has(int32_t id) const { return Find(id) != nullptr; }
  bool Resolve(int32_t id, int32_t offset, int32_t length, Span* span) const {
    Block* block = Find(id);
    if (block == nullptr || offset < 0 || length < 0) return false;
    auto first = static_cast<size_t>(offset);
    auto size = static_cast<size_t>(length);
    if (first > block->length || size > block->length - first) return false;
    *span = {block->bytes + first, size};
    return true;
  }

 private:
  Block* Find(int32_t id) const {
    return static_cast<uint32_t>(id) < blocks_.size() ? blocks_[static_cast<uint32_t>(id)]
                                                      : nullptr;
  }

  std::vector<Block*> blocks_;
  std::deque<int> free_;
};

}  // namespace sockmux

#endif  // SOCKMUX_BUFFERS_H_
