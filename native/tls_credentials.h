// Certificates, keys and revocation lists out of bytes. A function that fails returns false or
// nullptr and leaves OpenSSL's reason on the error queue.
#ifndef SOCKMUX_TLS_CREDENTIALS_H_
#define SOCKMUX_TLS_CREDENTIALS_H_

#include <string>
#include <vector>

#include "tls_openssl.h"
#include "tls_values.h"

namespace sockmux::tls {

// What could not be used, as a word for TypeScript; empty when all is well.
using Problem = const char*;

struct StoreOptions {
  std::vector<Bytes> authorities;  // each a bundle of PEM certificates, or one in DER
  std::string directory;           // of hashed names; empty for none
  Bytes revocations;               // PEM or DER
};

StorePointer NewStore(const StoreOptions& options, Problem* problem);

// A certificate with its chain and its key, all in PEM, or DER, or one PKCS #12 file. An empty key
// is looked for beside the certificate.
Problem UseCertificate(SSL_CTX* context, Bytes certificate, Bytes key,
                       const std::string& passphrase);

}  // namespace sockmux::tls

#endif  // SOCKMUX_TLS_CREDENTIALS_H_
