// Sessions that later connections begin from, by ids; 0 names none.
#include "tls_environment.h"
#include "tls_values.h"

namespace sockmux::tls {

namespace {

napi_value Keep(Call<1>& call, SessionPointer session) {
  if (session == nullptr) return NewInteger(call.env(), 0);
  auto kept = std::make_unique<KeptSession>();
  kept->session = std::move(session);
  return NewInteger(call.env(), call.state().sessions.Add(std::move(kept)));
}

SSL_SESSION* Find(Call<1>& call) {
  int32_t id = 0;
  if (!call.Integer(0, "session", &id)) return nullptr;
  KeptSession* kept = call.state().sessions.Find(id);
  if (kept != nullptr) return kept->session.get();
  ThrowRange(call.env(), "session", "was released");
  return nullptr;
}

}  // namespace

// engineTakeSession(engine) → the newest session, or 0
napi_value EngineTakeSession(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id = 0;
  if (!call.Integer(0, "engine", &id)) return nullptr;
  Engine* engine = call.state().engines.Find(id);
  return Keep(call, engine == nullptr ? nullptr : engine->TakeSession());
}

// sessionIsSingleUse(session): a ticket of TLS 1.3 is used once.
napi_value SessionIsSingleUse(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  SSL_SESSION* session = Find(call);
  if (session == nullptr) return nullptr;
  return NewBoolean(env, SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION);
}

// sessionExport(session) → bytes in ASN.1, secrets included
napi_value SessionExport(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  SSL_SESSION* session = Find(call);
  if (session == nullptr) return nullptr;
  uint8_t* der = nullptr;
  int length = i2d_SSL_SESSION(session, &der);
  napi_value result = NewBytes(env, der, length > 0 ? static_cast<size_t>(length) : 0);
  OPENSSL_free(der);
  ERR_clear_error();
  return result;
}

// sessionImport(bytes) → a session, or 0 when they are none
napi_value SessionImport(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  uint8_t* bytes = nullptr;
  size_t length = 0;
  if (!GetBytes(env, call.value(0), "bytes", &bytes, &length)) return nullptr;
  const uint8_t* start = bytes;
  SessionPointer session(d2i_SSL_SESSION(nullptr, &start, static_cast<long>(length)));
  ERR_clear_error();
  return Keep(call, std::move(session));
}

napi_value SessionRelease(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id = 0;
  if (call.Integer(0, "session", &id)) call.state().sessions.Remove(id);
  return nullptr;
}

}  // namespace sockmux::tls
