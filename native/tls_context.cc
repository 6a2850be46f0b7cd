#include "tls_context.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "tls_engine.h"
#include "tls_verify.h"

namespace sockmux::tls {

namespace {

constexpr size_t kHashLength = 32;
// Resumption is refused between servers whose clients are told apart by certificates.
constexpr unsigned char kSessionIdContext[] = "sockmux";

Context* ContextOf(const SSL* ssl) { return &Engine::Of(ssl)->context(); }

// For the time of one line: a context lives until it is collected, and a descriptor must not.
// Secrets are for their owner alone.
int OpenKeyLog(const std::string& path) {
  return open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
}

void LogKey(const SSL* ssl, const char* line) { ContextOf(ssl)->WriteKeyLog(line); }

int ChooseProtocol(SSL* ssl, const uint8_t** chosen, uint8_t* chosen_length, const uint8_t* offered,
                   unsigned offered_length, void*) {
  const auto& ours = ContextOf(ssl)->alpn();
  if (ours.empty()) return SSL_TLSEXT_ERR_NOACK;
  uint8_t* found;
  int result = SSL_select_next_proto(&found, chosen_length, ours.data(),
                                     static_cast<unsigned>(ours.size()), offered, offered_length);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

int StapleResponse(SSL* ssl, void*) {
  const auto& response = ContextOf(ssl)->ocsp_response();
  if (response.empty()) return SSL_TLSEXT_ERR_NOACK;
  auto* copy = static_cast<uint8_t*>(OPENSSL_memdup(response.data(), response.size()));
  SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(response.size()));
  return SSL_TLSEXT_ERR_OK;
}

// Stops the handshake once, so that TypeScript can choose a context by the server's name.
int StopForName(SSL* ssl, int* alert, void*) { return Engine::Of(ssl)->OnClientHello(alert); }

int KeepSession(SSL* ssl, SSL_SESSION* session) { return Engine::Of(ssl)->OnSession(session); }

}  // namespace

Context::Context(const ContextOptions& options)
    : context_(SSL_CTX_new(options.server ? TLS_server_method() : TLS_client_method())),
      server_(options.server),
      verify_peer_(options.verify_peer),
      select_by_name_(options.select_by_name),
      pins_(options.pins.data, options.pins.data + options.pins.length),
      alpn_(options.alpn.data, options.alpn.data + options.alpn.length),
      ocsp_response_(options.ocsp_response.data,
                     options.ocsp_response.data + options.ocsp_response.length) {}

std::shared_ptr<Context> Context::Create(const ContextOptions& options, Problem* problem) {
  std::shared_ptr<Context> context(new Context(options));
  *problem = context->context_ == nullptr ? "context" : context->Configure(options);
  return *problem == nullptr ? context : nullptr;
}

bool Context::Accepts(const uint8_t* key_hash) const {
  for (size_t at = 0; at + kHashLength <= pins_.size(); at += kHashLength) {
    if (memcmp(pins_.data() + at, key_hash, kHashLength) == 0) return true;
  }
  return false;
}

void Context::WriteKeyLog(const char* line) const {
  int fd = OpenKeyLog(key_log_file_);
  if (fd < 0) return;
  // In one call, so that lines of several threads and processes do not mix.
  std::string whole = std::string(line) + "\n";
  [[maybe_unused]] ssize_t written = write(fd, whole.data(), whole.size());
  close(fd);
}

Problem Context::Configure(const ContextOptions& options) {
  SSL_CTX* context = context_.get();
  // Renegotiation is an attack surface that no peer of today needs; idle connections give their
  // buffers back.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_cert_verify_callback(context, VerifyChain, nullptr);
  SSL_CTX_set1_cert_store(context, options.store);
  if (SSL_CTX_set_min_proto_version(context, options.min_version) != 1) return "minVersion";
  if (SSL_CTX_set_max_proto_version(context, options.max_version) != 1) return "maxVersion";
  if (!options.ciphers.empty() && SSL_CTX_set_cipher_list(context, options.ciphers.c_str()) != 1) {
    return "ciphers";
  }
  if (!options.cipher_suites.empty() &&
      SSL_CTX_set_ciphersuites(context, options.cipher_suites.c_str()) != 1) {
    return "cipherSuites";
  }
  if (!options.curves.empty() && SSL_CTX_set1_curves_list(context, options.curves.c_str()) != 1) {
    return "curves";
  }
  if (!options.signature_algorithms.empty() &&
      SSL_CTX_set1_sigalgs_list(context, options.signature_algorithms.c_str()) != 1) {
    return "signatureAlgorithms";
  }
  if (options.certificate.length > 0) {
    Problem problem = UseCertificate(context, options.certificate, options.key, options.passphrase);
    if (problem != nullptr) return problem;
  }
  if (!options.key_log_file.empty()) {
    int fd = OpenKeyLog(options.key_log_file);
    if (fd < 0) return "keyLogFile";
    close(fd);
    key_log_file_ = options.key_log_file;
    SSL_CTX_set_keylog_callback(context, LogKey);
  }
  if (options.server) return ConfigureServer(options);
  ConfigureClient(options);
  return nullptr;
}

void Context::ConfigureClient(const ContextOptions& options) {
  SSL_CTX* context = context_.get();
  // Always, so that our callback is heard; it knows what is to be verified.
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (!alpn_.empty()) {
    SSL_CTX_set_alpn_protos(context, alpn_.data(), static_cast<unsigned>(alpn_.size()));
  }
  if (options.keep_sessions) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, KeepSession);
  } else {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  }
  if (options.require_ocsp_stapling) {
    SSL_CTX_set_tlsext_status_type(context, TLSEXT_STATUSTYPE_ocsp);
    SSL_CTX_set_tlsext_status_cb(context, CheckStapledResponse);
  }
}

Problem Context::ConfigureServer(const ContextOptions& options) {
  SSL_CTX* context = context_.get();
  int mode = options.verify_peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
  if (options.require_peer_certificate) mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(context, mode, nullptr);
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // Tickets hold the state, so nothing is kept per session.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (!options.keep_sessions) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
  }
  SSL_CTX_set_session_id_context(context, kSessionIdContext, sizeof(kSessionIdContext) - 1);
  SSL_CTX_set_alpn_select_cb(context, ChooseProtocol, nullptr);
  SSL_CTX_set_tlsext_status_cb(context, StapleResponse);
  if (options.select_by_name) SSL_CTX_set_client_hello_cb(context, StopForName, nullptr);
  return nullptr;
}

}  // namespace sockmux::tls
