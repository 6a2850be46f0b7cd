// Owners of OpenSSL's objects, and OpenSSL's reasons in words. The error queue belongs to the
// thread and is shared with Node's own TLS, so it is left empty after every call.
#ifndef SOCKMUX_TLS_OPENSSL_H_
#define SOCKMUX_TLS_OPENSSL_H_

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace sockmux::tls {

template <auto kFree>
struct Free {
  template <class Object>
  void operator()(Object* object) const {
    kFree(object);
  }
};

using BioPointer = std::unique_ptr<BIO, Free<BIO_free>>;
using CertificatePointer = std::unique_ptr<X509, Free<X509_free>>;
using CrlPointer = std::unique_ptr<X509_CRL, Free<X509_CRL_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using StorePointer = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using ContextPointer = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using ConnectionPointer = std::unique_ptr<SSL, Free<SSL_free>>;
using SessionPointer = std::unique_ptr<SSL_SESSION, Free<SSL_SESSION_free>>;
using Pkcs12Pointer = std::unique_ptr<PKCS12, Free<PKCS12_free>>;
using OcspResponsePointer = std::unique_ptr<OCSP_RESPONSE, Free<OCSP_RESPONSE_free>>;
using OcspBasicPointer = std::unique_ptr<OCSP_BASICRESP, Free<OCSP_BASICRESP_free>>;
using OcspIdPointer = std::unique_ptr<OCSP_CERTID, Free<OCSP_CERTID_free>>;

// The oldest error, which is the cause of those after it; empties the queue.
inline std::string TakeReason() {
  const char* data = nullptr;
  int flags = 0;
  unsigned long error = ERR_peek_error_data(&data, &flags);
  std::string reason;
  if (error != 0) {
    const char* words = ERR_reason_error_string(error);
    reason = words != nullptr ? words : "error " + std::to_string(ERR_GET_REASON(error));
    if ((flags & ERR_TXT_STRING) != 0 && data != nullptr && *data != '\0') {
      reason += " (" + std::string(data) + ")";
    }
  }
  ERR_clear_error();
  return reason;
}

}  // namespace sockmux::tls

#endif  // SOCKMUX_TLS_OPENSSL_H_
