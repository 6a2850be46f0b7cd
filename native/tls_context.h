// What many connections share: certificates, trust, versions, ciphers, as one SSL_CTX. Immutable
// once made; kept alive by JavaScript's wrapper and by every engine made from it.
#ifndef SOCKMUX_TLS_CONTEXT_H_
#define SOCKMUX_TLS_CONTEXT_H_

#include <memory>
#include <string>
#include <vector>

#include "tls_credentials.h"
#include "tls_openssl.h"

namespace sockmux::tls {

struct ContextOptions {
  bool server;
  bool verify_peer;
  bool require_peer_certificate;  // of a server, from its client
  bool require_ocsp_stapling;
  bool keep_sessions;
  bool select_by_name;  // of a server: stop after the ClientHello
  X509_STORE* store;    // borrowed
  int min_version;
  int max_version;
  std::string ciphers, cipher_suites, curves, signature_algorithms;
  Bytes certificate, key;
  std::string passphrase;
  Bytes alpn;           // protocols in wire format, best first
  Bytes pins;           // SHA-256 of public keys, 32 bytes each
  Bytes ocsp_response;  // of a server, in DER
  std::string key_log_file;
};

class Context {
 public:
  static std::shared_ptr<Context> Create(const ContextOptions& options, Problem* problem);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() = default;

  SSL_CTX* ssl_context() const { return context_.get(); }
  bool server() const { return server_; }
  bool verify_peer() const { return verify_peer_; }
  bool select_by_name() const { return select_by_name_; }
  bool has_pins() const { return !pins_.empty(); }
  bool Accepts(const uint8_t* key_hash) const;
  const std::vector<uint8_t>& alpn() const { return alpn_; }
  const std::vector<uint8_t>& ocsp_response() const { return ocsp_response_; }
  void WriteKeyLog(const char* line) const;

 private:
  explicit Context(const ContextOptions& options);
  Problem Configure(const ContextOptions& options);
  void ConfigureClient(const ContextOptions& options);
  Problem ConfigureServer(const ContextOptions& options);

  ContextPointer context_;
  bool server_;
  bool verify_peer_;
  bool select_by_name_;
  std::vector<uint8_t> pins_;
  std::vector<uint8_t> alpn_;
  std::vector<uint8_t> ocsp_response_;
  std::string key_log_file_;
};

}  // namespace sockmux::tls

#endif  // SOCKMUX_TLS_CONTEXT_H_
