#include "tls_verify.h"

#include <openssl/x509v3.h>

#include <string>

#include "tls_engine.h"

namespace sockmux::tls {

namespace {

// Clocks differ: as much as curl and Node's neighbours allow.
constexpr long kOcspSkewSeconds = 300;

bool MatchesName(X509* certificate, const Engine& engine) {
  const std::string& name = engine.peer_name();
  if (engine.peer_name_is_address()) {
    return X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
  }
  return X509_check_host(certificate, name.data(), name.size(),
                         X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
}

bool MatchesPin(X509* certificate, const Context& context) {
  uint8_t* der = nullptr;
  int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (length <= 0) return false;
  uint8_t hash[EVP_MAX_MD_SIZE];
  bool matches =
      EVP_Digest(der, static_cast<size_t>(length), hash, nullptr, EVP_sha256(), nullptr) == 1 &&
      context.Accepts(hash);
  OPENSSL_free(der);
  return matches;
}

// What the peer stapled says about that certificate, or nullptr with `reason` set.
OCSP_SINGLERESP* FindAnswer(OCSP_BASICRESP* response, X509* certificate, X509* issuer) {
  for (int i = 0; i < OCSP_resp_count(response); ++i) {
    OCSP_SINGLERESP* single = OCSP_resp_get0(response, i);
    auto* id = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single));
    ASN1_OBJECT* algorithm = nullptr;
    OCSP_id_get0_info(nullptr, &algorithm, nullptr, nullptr, id);
    const EVP_MD* digest = EVP_get_digestbyobj(algorithm);
    if (digest == nullptr) continue;
    OcspIdPointer wanted(OCSP_cert_to_id(digest, certificate, issuer));
    if (wanted != nullptr && OCSP_id_cmp(wanted.get(), id) == 0) return single;
  }
  return nullptr;
}

std::string JudgeAnswer(OCSP_SINGLERESP* answer) {
  int reason = -1;
  ASN1_GENERALIZEDTIME* this_update = nullptr;
  ASN1_GENERALIZEDTIME* next_update = nullptr;
  int status = OCSP_single_get0_status(answer, &reason, nullptr, &this_update, &next_update);
  if (OCSP_check_validity(this_update, next_update, kOcspSkewSeconds, -1) != 1) {
    return "the OCSP response has expired";
  }
  if (status == V_OCSP_CERTSTATUS_GOOD) return {};
  std::string words = std::string("the certificate is ") + OCSP_cert_status_str(status);
  if (reason >= 0) words += std::string(" (") + OCSP_crl_reason_str(reason) + ")";
  return words;
}

// Empty when the stapled response says that the certificate is good.
std::string JudgeResponse(SSL* ssl, X509_STORE* store) {
  const uint8_t* der = nullptr;
  long length = SSL_get_tlsext_status_ocsp_resp(ssl, &der);
  if (der == nullptr || length <= 0) return "no OCSP response was stapled";
  OcspResponsePointer response(d2i_OCSP_RESPONSE(nullptr, &der, length));
  if (response == nullptr) return "the OCSP response cannot be read";
  int status = OCSP_response_status(response.get());
  if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return std::string("the OCSP responder failed: ") + OCSP_response_status_str(status);
  }
  OcspBasicPointer basic(OCSP_response_get1_basic(response.get()));
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl);
  if (basic == nullptr || OCSP_basic_verify(basic.get(), chain, store, 0) != 1) {
    return "the OCSP response is not signed by an authority: " + TakeReason();
  }
  X509* certificate = SSL_get0_peer_certificate(ssl);
  STACK_OF(X509)* verified = SSL_get0_verified_chain(ssl);
  STACK_OF(X509)* issuers = verified != nullptr ? verified : chain;
  // A certificate that is its own authority issued itself.
  X509* issuer = sk_X509_num(issuers) > 1 ? sk_X509_value(issuers, 1) : certificate;
  OCSP_SINGLERESP* answer = FindAnswer(basic.get(), certificate, issuer);
  if (answer == nullptr) return "the OCSP response is about another certificate";
  return JudgeAnswer(answer);
}

}  // namespace

int VerifyChain(X509_STORE_CTX* store, void*) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  Engine* engine = Engine::Of(ssl);
  if (X509_verify_cert(store) != 1) {
    int error = X509_STORE_CTX_get_error(store);
    if (engine->context().verify_peer()) {
      engine->Fail(Failure::kVerify, X509_verify_cert_error_string(error), error);
      return 0;
    }
    ERR_clear_error();
  }
  if (CheckPeer(ssl, X509_STORE_CTX_get0_cert(store))) return 1;
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

bool CheckPeer(SSL* ssl, X509* certificate) {
  Engine* engine = Engine::Of(ssl);
  const std::string& name = engine->peer_name();
  if (!name.empty() && (certificate == nullptr || !MatchesName(certificate, *engine))) {
    engine->Fail(Failure::kName, "no name in the certificate matches " + name,
                 engine->peer_name_is_address() ? X509_V_ERR_IP_ADDRESS_MISMATCH
                                                : X509_V_ERR_HOSTNAME_MISMATCH);
    return false;
  }
  if (engine->context().has_pins() &&
      (certificate == nullptr || !MatchesPin(certificate, engine->context()))) {
    engine->Fail(Failure::kPin, "the public key is not the pinned one");
    return false;
  }
  return true;
}

int CheckStapledResponse(SSL* ssl, void*) {
  Engine* engine = Engine::Of(ssl);
  std::string problem = JudgeResponse(ssl, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)));
  ERR_clear_error();
  if (problem.empty()) return 1;
  engine->Fail(Failure::kStatus, problem);
  return 0;
}

}  // namespace sockmux::tls
