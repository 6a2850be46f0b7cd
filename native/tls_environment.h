// What one environment (the main thread, or a worker) has of the TLS addon, and what it exports.
#ifndef SOCKMUX_TLS_ENVIRONMENT_H_
#define SOCKMUX_TLS_ENVIRONMENT_H_

#include <node_api.h>

#include <memory>

#include "handle_table.h"
#include "tls_engine.h"

namespace sockmux::tls {

// Ciphertext in, ciphertext out and the status: registered once, so that a call names all three by
// one integer. The references keep the ArrayBuffers; nobody but the registrant may know them, since
// a transferred one would leave pointers behind.
struct RegisteredMemory {
  RegisteredMemory(napi_env environment) : env(environment) {}
  RegisteredMemory(const RegisteredMemory&) = delete;
  RegisteredMemory& operator=(const RegisteredMemory&) = delete;
  ~RegisteredMemory();

  napi_env env;
  napi_ref references[3] = {};
  Memory memory{};
};

struct Environment {
  HandleTable<RegisteredMemory> memories;
  HandleTable<Engine> engines;
  size_t engine_count = 0;
};

using Verb = napi_value(napi_env env, napi_callback_info info);

// tls_verbs.cc
Verb MemoryRegister, MemoryRelease, EngineHandshake, EngineRead, EngineWrite, EngineShutdown,
    EngineClose, EngineCount;
// tls_objects.cc
Verb NewStoreVerb, NewContext, EngineOpen, EngineUseContext, SessionExport, SessionImport;
// tls_describe.cc
Verb EngineDescribe, EngineFailure, EngineCertificates, EngineOcspResponse, EngineTakeSession,
    EngineAskedName;

// A session as a JavaScript object; nullptr with an exception pending.
napi_value WrapSession(napi_env env, SessionPointer session);

}  // namespace sockmux::tls

#endif  // SOCKMUX_TLS_ENVIRONMENT_H_
