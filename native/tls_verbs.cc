// The calls of the hot path: small integers, and plaintext as the caller's own bytes.
#include "tls_environment.h"
#include "tls_values.h"

namespace sockmux::tls {

namespace {

// (engine, memory, inputLength) → the engine with the memory lent to it.
template <size_t kArguments>
bool Lend(Call<kArguments>& call, Engine** engine, Memory* memory) {
  int32_t engine_id = 0, memory_id = 0, length = 0;
  if (!call.Integer(0, "engine", &engine_id) || !call.Integer(1, "memory", &memory_id) ||
      !call.Integer(2, "inputLength", &length)) {
    return false;
  }
  *engine = call.state().engines.Find(engine_id);
  if (*engine == nullptr) return ThrowRange(call.env(), "engine", "is not open");
  RegisteredMemory* registered = call.state().memories.Find(memory_id);
  if (registered == nullptr) return ThrowRange(call.env(), "memory", "is not registered");
  *memory = registered->memory;
  if (length < 0 || static_cast<size_t>(length) > memory->input_length) {
    return ThrowRange(call.env(), "inputLength", "reaches outside the memory");
  }
  memory->input_length = static_cast<size_t>(length);
  return true;
}

}  // namespace

RegisteredMemory::~RegisteredMemory() {
  for (napi_ref reference : references) {
    if (reference != nullptr) napi_delete_reference(env, reference);
  }
}

// memoryRegister(input, output, status) → id
napi_value MemoryRegister(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  auto registered = std::make_unique<RegisteredMemory>(env);
  Memory& memory = registered->memory;
  uint8_t* input = nullptr;
  if (!GetBytes(env, call.value(0), "input", &input, &memory.input_length) ||
      !GetBytes(env, call.value(1), "output", &memory.output, &memory.output_length)) {
    return nullptr;
  }
  memory.input = input;
  napi_typedarray_type type;
  void* status;
  size_t length;
  if (napi_get_typedarray_info(env, call.value(2), &type, &length, &status, nullptr, nullptr) !=
          napi_ok ||
      type != napi_int32_array || length < static_cast<size_t>(kStatusSize)) {
    ThrowType(env, "status", "must be an Int32Array of sufficient length");
    return nullptr;
  }
  memory.status = static_cast<int32_t*>(status);
  for (size_t i = 0; i < 3; ++i) {
    napi_create_reference(env, call.value(i), 1, &registered->references[i]);
  }
  return NewInteger(env, call.state().memories.Add(std::move(registered)));
}

napi_value MemoryRelease(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id = 0;
  if (call.Integer(0, "memory", &id)) call.state().memories.Remove(id);
  return nullptr;
}

// engineHandshake(engine, memory, inputLength) → an Answer
napi_value EngineHandshake(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  Engine* engine = nullptr;
  Memory memory{};
  if (!Lend(call, &engine, &memory)) return nullptr;
  return NewInteger(env, engine->Handshake(memory));
}

// engineRead(engine, memory, inputLength, bytes, offset, length) → count, or an Answer
napi_value EngineRead(napi_env env, napi_callback_info info) {
  Call<6> call(env, info);
  Engine* engine = nullptr;
  Memory memory{};
  uint8_t* plain = nullptr;
  size_t length = 0;
  if (!Lend(call, &engine, &memory) || !call.Span(3, &plain, &length)) return nullptr;
  return NewInteger(env, engine->Read(memory, plain, length));
}

// engineWrite(engine, memory, 0, bytes, offset, length) → count, or an Answer
napi_value EngineWrite(napi_env env, napi_callback_info info) {
  Call<6> call(env, info);
  Engine* engine = nullptr;
  Memory memory{};
  uint8_t* plain = nullptr;
  size_t length = 0;
  if (!Lend(call, &engine, &memory) || !call.Span(3, &plain, &length)) return nullptr;
  return NewInteger(env, engine->Write(memory, plain, length));
}

// engineShutdown(engine, memory, 0) → an Answer; close_notify is in the output
napi_value EngineShutdown(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  Engine* engine = nullptr;
  Memory memory{};
  if (!Lend(call, &engine, &memory)) return nullptr;
  return NewInteger(env, engine->Shutdown(memory));
}

napi_value EngineClose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id = 0;
  if (!call.Integer(0, "engine", &id)) return nullptr;
  if (call.state().engines.Find(id) != nullptr) {
    call.state().engines.Remove(id);
    --call.state().engine_count;
  }
  return nullptr;
}

// engineCount(): engines of this environment that are open.
napi_value EngineCount(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  return NewInteger(env, static_cast<int32_t>(call.state().engine_count));
}

}  // namespace sockmux::tls
