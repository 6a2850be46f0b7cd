// Is the peer who it should be? Chain, name, pinned key and stapled OCSP response, all judged while
// the handshake still runs, so that nothing of ours is sent to a stranger.
#ifndef SOCKMUX_TLS_VERIFY_H_
#define SOCKMUX_TLS_VERIFY_H_

#include "tls_openssl.h"

namespace sockmux::tls {

// OpenSSL's callbacks.
int VerifyChain(X509_STORE_CTX* store, void* unused);
int CheckStapledResponse(SSL* ssl, void* unused);

// Name and pinned key, which a resumed session does not bring up again.
bool CheckPeer(SSL* ssl, X509* certificate);

}  // namespace sockmux::tls

#endif  // SOCKMUX_TLS_VERIFY_H_
