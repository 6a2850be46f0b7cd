// The export table of the TLS addon, a binary of its own: where a host does not bring the OpenSSL
// that this was compiled for, loading fails with a reason and the rest of the library works.
#include <node_api.h>
#include <openssl/crypto.h>
#include <openssl/opensslv.h>

#include "tls_environment.h"
#include "tls_values.h"

namespace sockmux::tls {

namespace {

constexpr struct {
  const char* name;
  Verb* verb;
} kVerbs[] = {
    {"newStore", NewStoreVerb},
    {"newContext", NewContext},
    {"memoryRegister", MemoryRegister},
    {"memoryRelease", MemoryRelease},
    {"engineOpen", EngineOpen},
    {"engineUseContext", EngineUseContext},
    {"engineHandshake", EngineHandshake},
    {"engineRead", EngineRead},
    {"engineWrite", EngineWrite},
    {"engineShutdown", EngineShutdown},
    {"engineClose", EngineClose},
    {"engineCount", EngineCount},
    {"engineDescribe", EngineDescribe},
    {"engineFailure", EngineFailure},
    {"engineCertificates", EngineCertificates},
    {"engineOcspResponse", EngineOcspResponse},
    {"engineTakeSession", EngineTakeSession},
    {"engineAskedName", EngineAskedName},
    {"sessionIsSingleUse", SessionIsSingleUse},
    {"sessionExport", SessionExport},
    {"sessionImport", SessionImport},
    {"sessionRelease", SessionRelease},
};

// The numbers that lib/sys/tls.ts spells as well; a test compares them.
constexpr struct {
  const char* name;
  int32_t value;
} kNumbers[] = {
    {"DONE", kDone},
    {"AGAIN", kAgain},
    {"FAILED", kFailed},
    {"CHOOSE_CONTEXT", kChooseContext},
    {"OUTPUT", kOutput},
    {"FLAGS", kFlags},
    {"PIECE_COUNT", kPieceCount},
    {"PIECE_ENDS", kPieceEnds},
    {"STATUS_LENGTH", kStatusSize},
    {"PIECE_BYTES", SSL3_RT_MAX_PLAIN_LENGTH},
    {"PENDING", kPending},
    {"MORE_OUTPUT", kMoreOutput},
    {"PEER_CLOSED", kPeerClosed},
    {"HAS_SESSIONS", kHasSessions},
    {"NONE", static_cast<int32_t>(Failure::kNone)},
    {"PROTOCOL", static_cast<int32_t>(Failure::kProtocol)},
    {"VERIFY", static_cast<int32_t>(Failure::kVerify)},
    {"NAME", static_cast<int32_t>(Failure::kName)},
    {"PIN", static_cast<int32_t>(Failure::kPin)},
    {"STATUS", static_cast<int32_t>(Failure::kStatus)},
    {"CERTIFICATE_REQUIRED", static_cast<int32_t>(Failure::kCertificateRequired)},
};

napi_value Numbers(napi_env env) {
  napi_value result;
  napi_create_object(env, &result);
  for (const auto& entry : kNumbers) {
    napi_set_named_property(env, result, entry.name, NewInteger(env, entry.value));
  }
  return result;
}

napi_value Initialize(napi_env env, napi_value exports) {
  if (OpenSSL_version_num() >> 28 != OPENSSL_VERSION_MAJOR) {
    std::string message = std::string("compiled for OpenSSL ") + OPENSSL_VERSION_TEXT +
                          ", but this process has " + OpenSSL_version(OPENSSL_VERSION);
    napi_throw_error(env, "ERR_OPENSSL_VERSION", message.c_str());
    return nullptr;
  }
  auto* state = new Environment;
  napi_set_instance_data(
      env, state, [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); },
      nullptr);
  napi_add_env_cleanup_hook(
      env,
      [](void* data) {
        auto* closing = static_cast<Environment*>(data);
        closing->engines.Clear();
        closing->memories.Clear();
      },
      state);
  for (const auto& entry : kVerbs) {
    napi_value function;
    napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.verb, state, &function);
    napi_set_named_property(env, exports, entry.name, function);
  }
  napi_set_named_property(env, exports, "version",
                          NewString(env, OpenSSL_version(OPENSSL_VERSION_STRING)));
  napi_set_named_property(env, exports, "numbers", Numbers(env));
  return exports;
}

}  // namespace
}  // namespace sockmux::tls

NAPI_MODULE_INIT() { return sockmux::tls::Initialize(env, exports); }
