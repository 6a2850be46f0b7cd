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

// Named by an id rather than wrapped in an object: what the garbage collector lets go is freed only
// when Node's loop turns, and a thread that runs a loop of its own would pile sessions up.
struct KeptSession {
  SessionPointer session;
};

struct Environment {
  HandleTable<RegisteredMemory> memories;
  HandleTable<Engine> engines;
  HandleTable<KeptSession> sessions;
  size_t engine_count = 0;
};

using Verb = napi_value(napi_env env, napi_callback_info info);

// tls_verbs.cc
Verb MemoryRegister, MemoryRelease, EngineHandshake, EngineRead, EngineWrite, EngineShutdown,
    EngineClose, EngineCount;
// tls_objects.cc
Verb NewStoreVerb, NewContext, EngineOpen, EngineUseContext;
// tls_session.cc
Verb EngineTakeSession, SessionIsSingleUse, SessionExport, SessionImport, SessionRelease;
// tls_describe.cc
Verb EngineDescribe, EngineFailure, EngineCertificates, EngineOcspResponse, EngineAskedName;

}  // namespace sockmux::tls

#endif  // SOCKMUX_TLS_ENVIRONMENT_H_
