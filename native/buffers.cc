#include "buffers.h"

#include <cstdlib>
#include <new>

#include "call.h"
#include "verbs.h"

namespace sockmux {

namespace {
// As many free ids are kept back before one is reused.
constexpr size_t kFreeIdsMin = 64;
constexpr int32_t kLengthMax = 1 << 30;
}  // namespace

Block* Block::Create(size_t length) {
  auto* bytes = static_cast<uint8_t*>(calloc(length, 1));
  if (bytes == nullptr) return nullptr;
  auto* block = new Block;
  block->length = length;
  block->bytes = bytes;
  return block;
}

void Block::Release() {
  if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  free(bytes);
  delete this;
}

napi_value Block::ToArrayBuffer(napi_env env) {
  napi_value result = nullptr;
  auto finalize = [](napi_env, void*, void* hint) { static_cast<Block*>(hint)->Release(); };
  references.fetch_add(1, std::memory_order_relaxed);
  // The engine counts an external ArrayBuffer's length by itself, so napi_adjust_external_memory
  // would count it twice.
  if (napi_create_external_arraybuffer(env, bytes, length, finalize, this, &result) != napi_ok) {
    Release();
    napi_throw_error(env, nullptr, "this platform refuses external ArrayBuffers");
    return nullptr;
  }
  return result;
}

BufferTable::~BufferTable() {
  for (Block* block : blocks_) {
    if (block != nullptr) block->Release();
  }
}

int BufferTable::Add(Block* block) {
  if (free_.size() > kFreeIdsMin) {
    int id = free_.front();
    free_.pop_front();
    blocks_[static_cast<size_t>(id)] = block;
    return id;
  }
  blocks_.push_back(block);
  return static_cast<int>(blocks_.size() - 1);
}

bool BufferTable::Release(int id) {
  Block* block = Find(id);
  if (block == nullptr) return false;
  blocks_[static_cast<size_t>(id)] = nullptr;
  free_.push_back(id);
  block->Release();
  return true;
}

// allocate(length) → { id, bytes }
napi_value Allocate(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t length;
  if (!call.Integer(0, "length", &length, 1, kLengthMax)) return nullptr;
  Block* block = Block::Create(static_cast<size_t>(length));
  if (block == nullptr) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "length: there is not so much memory");
    return nullptr;
  }
  napi_value memory = block->ToArrayBuffer(env);
  if (memory == nullptr) {
    block->Release();
    return nullptr;
  }
  napi_value bytes;
  napi_create_typedarray(env, napi_uint8_array, block->length, memory, 0, &bytes);
  napi_value result;
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "id", call.Result(call.state().buffers.Add(block)));
  napi_set_named_property(env, result, "bytes", bytes);
  return result;
}

// release(bufferId)
napi_value Release(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id;
  if (!call.Integer(0, "bufferId", &id)) return nullptr;
  if (!call.state().buffers.Release(id)) return call.OutOfRange("bufferId", "is not allocated");
  return nullptr;
}

}  // namespace sockmux
