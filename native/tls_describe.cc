// What can be asked about a connection. Nothing here is on the hot path.
#include "tls_environment.h"
#include "tls_values.h"

namespace sockmux::tls {

namespace {

Engine* FindEngine(Call<1>& call) {
  int32_t id = 0;
  if (!call.Integer(0, "engine", &id)) return nullptr;
  Engine* engine = call.state().engines.Find(id);
  if (engine == nullptr) ThrowRange(call.env(), "engine", "is not open");
  return engine;
}

napi_value Null(napi_env env) {
  napi_value null;
  napi_get_null(env, &null);
  return null;
}

napi_value NewCertificate(napi_env env, X509* certificate) {
  uint8_t* der = nullptr;
  int length = i2d_X509(certificate, &der);
  napi_value result = NewBytes(env, der, length > 0 ? static_cast<size_t>(length) : 0);
  OPENSSL_free(der);
  return result;
}

}  // namespace

// engineDescribe(engine) → { protocol, cipher, alpn, isResumed, verifyResult, verifyReason }
napi_value EngineDescribe(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  Engine* engine = FindEngine(call);
  if (engine == nullptr) return nullptr;
  SSL* ssl = engine->ssl();
  const uint8_t* alpn = nullptr;
  unsigned alpn_length = 0;
  SSL_get0_alpn_selected(ssl, &alpn, &alpn_length);
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
  long verified = SSL_get_verify_result(ssl);
  struct {
    const char* name;
    napi_value value;
  } fields[] = {
      {"protocol", NewString(env, SSL_get_version(ssl))},
      {"cipher", NewString(env, cipher != nullptr ? SSL_CIPHER_get_name(cipher) : "")},
      {"alpn", NewString(env, std::string(reinterpret_cast<const char*>(alpn), alpn_length))},
      {"isResumed", NewBoolean(env, SSL_session_reused(ssl) == 1)},
      {"verifyResult", NewInteger(env, static_cast<int32_t>(verified))},
      {"verifyReason", NewString(env, X509_verify_cert_error_string(verified))},
  };
  napi_value result;
  napi_create_object(env, &result);
  for (const auto& field : fields) napi_set_named_property(env, result, field.name, field.value);
  ERR_clear_error();
  return result;
}

// engineFailure(engine) → { kind, reason, verifyResult }; kind 0: none
napi_value EngineFailure(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  Engine* engine = FindEngine(call);
  if (engine == nullptr) return nullptr;
  napi_value result;
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "kind",
                          NewInteger(env, static_cast<int32_t>(engine->failure())));
  napi_set_named_property(env, result, "reason", NewString(env, engine->reason()));
  napi_set_named_property(env, result, "verifyResult",
                          NewInteger(env, static_cast<int32_t>(engine->verify_error())));
  return result;
}

// engineCertificates(engine) → the peer's chain in DER, its own certificate first
napi_value EngineCertificates(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  Engine* engine = FindEngine(call);
  if (engine == nullptr) return nullptr;
  napi_value result;
  napi_create_array(env, &result);
  uint32_t count = 0;
  X509* own = SSL_get0_peer_certificate(engine->ssl());
  if (own != nullptr) napi_set_element(env, result, count++, NewCertificate(env, own));
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(engine->ssl());
  // A client's chain begins with the server's own certificate, a server's does not.
  for (int i = engine->context().server() ? 0 : 1; i < sk_X509_num(chain); ++i) {
    napi_set_element(env, result, count++, NewCertificate(env, sk_X509_value(chain, i)));
  }
  ERR_clear_error();
  return result;
}

// engineOcspResponse(engine) → what the server stapled, in DER, or null
napi_value EngineOcspResponse(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  Engine* engine = FindEngine(call);
  if (engine == nullptr) return nullptr;
  const uint8_t* der = nullptr;
  long length = SSL_get_tlsext_status_ocsp_resp(engine->ssl(), &der);
  if (der == nullptr || length <= 0) return Null(env);
  return NewBytes(env, der, static_cast<size_t>(length));
}

// engineAskedName(engine) → the server name that the client sent, or ''
napi_value EngineAskedName(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  Engine* engine = FindEngine(call);
  return engine == nullptr ? nullptr : NewString(env, engine->asked_name());
}

}  // namespace sockmux::tls
