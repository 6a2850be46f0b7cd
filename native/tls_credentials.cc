#include "tls_credentials.h"

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace sockmux::tls {

namespace {

constexpr std::string_view kPemStart = "-----BEGIN ";

bool IsPem(Bytes bytes) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data), bytes.length);
  return text.find(kPemStart) != std::string_view::npos;
}

BioPointer Reader(Bytes bytes) {
  return BioPointer(BIO_new_mem_buf(bytes.data, static_cast<int>(bytes.length)));
}

// The default of OpenSSL would ask at the terminal. -1 says that there is none.
int GivePassphrase(char* into, int size, int, void* data) {
  const auto& passphrase = *static_cast<const std::string*>(data);
  if (passphrase.empty() || passphrase.size() > static_cast<size_t>(size)) return -1;
  memcpy(into, passphrase.data(), passphrase.size());
  return static_cast<int>(passphrase.size());
}

// The end of a PEM text is an error to OpenSSL, but not to us.
bool EndedWell() {
  unsigned long error = ERR_peek_last_error();
  if (error != 0 &&
      (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)) {
    return false;
  }
  ERR_clear_error();
  return true;
}

bool ReadCertificates(Bytes bytes, std::vector<CertificatePointer>* into) {
  std::string none;
  size_t before = into->size();
  if (!IsPem(bytes)) {
    const uint8_t* start = bytes.data;
    CertificatePointer one(d2i_X509(nullptr, &start, static_cast<long>(bytes.length)));
    if (one == nullptr) return false;
    into->push_back(std::move(one));
    return true;
  }
  BioPointer reader = Reader(bytes);
  for (;;) {
    CertificatePointer one(PEM_read_bio_X509_AUX(reader.get(), nullptr, GivePassphrase, &none));
    if (one == nullptr) return EndedWell() && into->size() > before;
    into->push_back(std::move(one));
  }
}

bool AddRevocations(X509_STORE* store, Bytes bytes) {
  size_t count = 0;
  if (!IsPem(bytes)) {
    const uint8_t* start = bytes.data;
    CrlPointer one(d2i_X509_CRL(nullptr, &start, static_cast<long>(bytes.length)));
    if (one == nullptr || X509_STORE_add_crl(store, one.get()) != 1) return false;
    ++count;
  } else {
    BioPointer reader = Reader(bytes);
    for (;;) {
      CrlPointer one(PEM_read_bio_X509_CRL(reader.get(), nullptr, nullptr, nullptr));
      if (one == nullptr) break;
      if (X509_STORE_add_crl(store, one.get()) != 1) return false;
      ++count;
    }
    if (!EndedWell()) return false;
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return count > 0;
}

KeyPointer ReadKey(Bytes bytes, std::string passphrase) {
  if (IsPem(bytes)) {
    return KeyPointer(
        PEM_read_bio_PrivateKey(Reader(bytes).get(), nullptr, GivePassphrase, &passphrase));
  }
  BioPointer reader = Reader(bytes);
  KeyPointer key(d2i_PrivateKey_bio(reader.get(), nullptr));
  if (key != nullptr) return key;
  ERR_clear_error();
  reader = Reader(bytes);
  return KeyPointer(d2i_PKCS8PrivateKey_bio(reader.get(), nullptr, GivePassphrase, &passphrase));
}

Problem UseChain(SSL_CTX* context, const std::vector<CertificatePointer>& chain) {
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) return "certificate";
  for (size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) return "certificate";
  }
  return nullptr;
}

Problem UseKey(SSL_CTX* context, EVP_PKEY* key) {
  if (SSL_CTX_use_PrivateKey(context, key) != 1) return "key";
  return SSL_CTX_check_private_key(context) == 1 ? nullptr : "key";
}

Pkcs12Pointer ReadPkcs12(Bytes bytes) {
  const uint8_t* start = bytes.data;
  Pkcs12Pointer file(d2i_PKCS12(nullptr, &start, static_cast<long>(bytes.length)));
  ERR_clear_error();
  return file;
}

Problem UsePkcs12(SSL_CTX* context, PKCS12* file, const std::string& passphrase) {
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  STACK_OF(X509)* others = nullptr;
  if (PKCS12_parse(file, passphrase.c_str(), &key, &certificate, &others) != 1) return "key";
  KeyPointer key_owner(key);
  std::vector<CertificatePointer> chain;
  if (certificate != nullptr) chain.emplace_back(certificate);
  for (int i = 0; i < sk_X509_num(others); ++i) {
    X509* other = sk_X509_value(others, i);
    X509_up_ref(other);
    chain.emplace_back(other);
  }
  sk_X509_pop_free(others, X509_free);
  if (certificate == nullptr) return "certificate";
  Problem problem = UseChain(context, chain);
  if (problem != nullptr) return problem;
  return key == nullptr ? "key" : UseKey(context, key);
}

}  // namespace

StorePointer NewStore(const StoreOptions& options, Problem* problem) {
  StorePointer store(X509_STORE_new());
  for (Bytes bundle : options.authorities) {
    std::vector<CertificatePointer> certificates;
    *problem = "ca";
    if (!ReadCertificates(bundle, &certificates)) return nullptr;
    for (const auto& certificate : certificates) {
      if (X509_STORE_add_cert(store.get(), certificate.get()) != 1) return nullptr;
    }
  }
  *problem = "caDirectory";
  if (!options.directory.empty() &&
      X509_STORE_load_path(store.get(), options.directory.c_str()) != 1) {
    return nullptr;
  }
  *problem = "crl";
  if (options.revocations.length > 0 && !AddRevocations(store.get(), options.revocations)) {
    return nullptr;
  }
  *problem = nullptr;
  // An authority that is trusted need not be a root: curl's choice as well.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  return store;
}

Problem UseCertificate(SSL_CTX* context, Bytes certificate, Bytes key,
                       const std::string& passphrase) {
  if (!IsPem(certificate)) {
    Pkcs12Pointer file = ReadPkcs12(certificate);
    if (file != nullptr) return UsePkcs12(context, file.get(), passphrase);
  }
  std::vector<CertificatePointer> chain;
  if (!ReadCertificates(certificate, &chain)) return "certificate";
  Problem problem = UseChain(context, chain);
  if (problem != nullptr) return problem;
  KeyPointer private_key = ReadKey(key.length > 0 ? key : certificate, passphrase);
  return private_key == nullptr ? "key" : UseKey(context, private_key.get());
}

}  // namespace sockmux::tls
