// What JavaScript holds as objects, freed when they are collected: stores of authorities and
// contexts; and the engines that are opened with them.
#include "tls_environment.h"
#include "tls_values.h"

namespace sockmux::tls {

namespace {

// Tells our objects from each other and from everybody else's before they are unwrapped.
constexpr napi_type_tag kStoreTag = {0x736f636b6d757801, 0x73746f7265000001};
constexpr napi_type_tag kContextTag = {0x736f636b6d757801, 0x636f6e7465787401};

struct StoreHolder {
  StorePointer store;
};

template <class Held>
napi_value Wrap(napi_env env, const napi_type_tag* tag, std::unique_ptr<Held> held) {
  napi_value object;
  napi_create_object(env, &object);
  napi_type_tag_object(env, object, tag);
  auto finalize = [](napi_env, void* data, void*) { delete static_cast<Held*>(data); };
  if (napi_wrap(env, object, held.get(), finalize, nullptr, nullptr) != napi_ok) return nullptr;
  held.release();
  return object;
}

template <class Held>
Held* Unwrap(napi_env env, napi_value value, const napi_type_tag* tag, const char* name) {
  bool matches = false;
  void* held = nullptr;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_object &&
      napi_check_object_type_tag(env, value, tag, &matches) == napi_ok && matches) {
    napi_unwrap(env, value, &held);
  }
  if (held == nullptr) ThrowType(env, name, "is not one of the addon's objects");
  return static_cast<Held*>(held);
}

napi_value Refusal(napi_env env, Problem problem) {
  napi_value result;
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "problem", NewString(env, problem));
  napi_set_named_property(env, result, "reason", NewString(env, TakeReason()));
  return result;
}

ContextOptions ReadOptions(Fields& fields) {
  ContextOptions options{};
  options.server = fields.Flag("server");
  options.verify_peer = fields.Flag("verifyPeer");
  options.require_peer_certificate = fields.Flag("requirePeerCertificate");
  options.require_ocsp_stapling = fields.Flag("requireOcspStapling");
  options.keep_sessions = fields.Flag("keepSessions");
  options.select_by_name = fields.Flag("selectByName");
  options.min_version = fields.Integer("minVersion");
  options.max_version = fields.Integer("maxVersion");
  options.ciphers = fields.Text("ciphers");
  options.cipher_suites = fields.Text("cipherSuites");
  options.curves = fields.Text("curves");
  options.signature_algorithms = fields.Text("signatureAlgorithms");
  options.certificate = fields.Bytes("certificate");
  options.key = fields.Bytes("key");
  options.passphrase = fields.Text("passphrase");
  options.alpn = fields.Bytes("alpn");
  options.pins = fields.Bytes("pins");
  options.ocsp_response = fields.Bytes("ocspResponse");
  options.key_log_file = fields.Text("keyLogFile");
  return options;
}

}  // namespace

// newStore({ authorities, directory, revocations }) → a store, or { problem, reason }
napi_value NewStoreVerb(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  Fields fields(env, call.value(0));
  StoreOptions options;
  options.authorities = fields.BytesList("authorities");
  options.directory = fields.Text("directory");
  options.revocations = fields.Bytes("revocations");
  if (!fields.ok()) return nullptr;
  ERR_clear_error();
  Problem problem = nullptr;
  StorePointer store = NewStore(options, &problem);
  if (store == nullptr) return Refusal(env, problem);
  ERR_clear_error();
  auto holder = std::make_unique<StoreHolder>();
  holder->store = std::move(store);
  return Wrap(env, &kStoreTag, std::move(holder));
}

// newContext(store, options) → a context, or { problem, reason }
napi_value NewContext(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  auto* holder = Unwrap<StoreHolder>(env, call.value(0), &kStoreTag, "store");
  if (holder == nullptr) return nullptr;
  Fields fields(env, call.value(1));
  ContextOptions options = ReadOptions(fields);
  if (!fields.ok()) return nullptr;
  options.store = holder->store.get();
  ERR_clear_error();
  Problem problem = nullptr;
  auto context = Context::Create(options, &problem);
  if (context == nullptr) return Refusal(env, problem);
  ERR_clear_error();
  auto held = std::make_unique<std::shared_ptr<Context>>(std::move(context));
  return Wrap(env, &kContextTag, std::move(held));
}

// engineOpen(context, { serverName, peerName, peerNameIsAddress }, session) → id; 0: no memory, or
// a name that cannot be sent. Session 0: none.
napi_value EngineOpen(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  auto* context = Unwrap<std::shared_ptr<Context>>(env, call.value(0), &kContextTag, "context");
  if (context == nullptr) return nullptr;
  Fields fields(env, call.value(1));
  EngineOptions options{};
  options.server_name = fields.Text("serverName");
  options.peer_name = fields.Text("peerName");
  options.peer_name_is_address = fields.Flag("peerNameIsAddress");
  if (!fields.ok()) return nullptr;
  int32_t session_id = 0;
  if (!call.Integer(2, "session", &session_id)) return nullptr;
  KeptSession* session = call.state().sessions.Find(session_id);
  if (session != nullptr) options.session = session->session.get();
  auto engine = Engine::Create(*context, options);
  if (engine == nullptr) return NewInteger(env, 0);
  ++call.state().engine_count;
  return NewInteger(env, call.state().engines.Add(std::move(engine)));
}

// engineUseContext(engine, context) → whether it could be used
napi_value EngineUseContext(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  int32_t id = 0;
  if (!call.Integer(0, "engine", &id)) return nullptr;
  auto* context = Unwrap<std::shared_ptr<Context>>(env, call.value(1), &kContextTag, "context");
  if (context == nullptr) return nullptr;
  Engine* engine = call.state().engines.Find(id);
  return NewBoolean(env, engine != nullptr && engine->UseContext(*context));
}

}  // namespace sockmux::tls
