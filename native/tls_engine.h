// One end of a TLS connection over memory: ciphertext in and out, plaintext in and out. It knows no
// descriptor. Ciphertext is read straight from the caller's memory and written straight into it;
// only what a call cannot use or cannot place is kept inside, until the next one.
#ifndef SOCKMUX_TLS_ENGINE_H_
#define SOCKMUX_TLS_ENGINE_H_

#include <memory>
#include <string>
#include <vector>

#include "tls_context.h"
#include "tls_openssl.h"

namespace sockmux::tls {

// Why an engine failed. TypeScript turns it into curl's codes.
enum class Failure : int32_t {
  kNone,
  kProtocol,
  kVerify,
  kName,
  kPin,
  kStatus,
  kCertificateRequired,
};

// What a call answers when it has no bytes to count.
enum Answer : int32_t { kDone = 0, kAgain = -1, kFailed = -2, kChooseContext = -3 };

// Integers of the status that a call fills in.
enum Status : int32_t {
  kOutput,      // bytes of ciphertext placed
  kFlags,       // see Flag
  kPieceCount,  // records that a write made
  kPieceEnds,   // where each ends in the ciphertext
};
enum Flag : int32_t {
  kPending = 1,      // bytes, an end or a failure wait inside: read again
  kMoreOutput = 2,   // ciphertext did not fit: call again
  kPeerClosed = 4,   // close_notify was received
  kHasSessions = 8,  // sessions can be taken
};
constexpr int32_t kPiecesMax = 8;
constexpr int32_t kStatusSize = kPieceEnds + kPiecesMax;

// Memory that the caller lends for the time of a call.
struct Memory {
  const uint8_t* input;
  size_t input_length;
  uint8_t* output;
  size_t output_length;
  int32_t* status;
};

struct EngineOptions {
  std::string server_name;  // sent as SNI; empty for none
  std::string peer_name;    // that the certificate must be for; empty for any
  bool peer_name_is_address;
  SSL_SESSION* session;  // borrowed; nullptr for none
};

class Engine {
 public:
  static std::unique_ptr<Engine> Create(std::shared_ptr<Context> context,
                                        const EngineOptions& options);
  static Engine* Of(const SSL* ssl) { return static_cast<Engine*>(SSL_get_app_data(ssl)); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  int32_t Handshake(const Memory& memory);
  // Plaintext bytes; kDone after close_notify.
  int32_t Read(const Memory& memory, uint8_t* plain, size_t length);
  // Plaintext bytes taken: all that the ciphertext's memory has room for.
  int32_t Write(const Memory& memory, const uint8_t* plain, size_t length);
  int32_t Shutdown(const Memory& memory);
  // After kChooseContext; without it, the first one serves.
  bool UseContext(std::shared_ptr<Context> context);

  SSL* ssl() const { return ssl_.get(); }
  Context& context() const { return *context_; }
  const std::string& peer_name() const { return peer_name_; }
  bool peer_name_is_address() const { return peer_name_is_address_; }
  Failure failure() const { return failure_; }
  const std::string& reason() const { return reason_; }
  long verify_error() const { return verify_error_; }
  const std::string& asked_name() const { return asked_name_; }
  SessionPointer TakeSession();

  // Only the first failure counts: the others follow from it.
  void Fail(Failure failure, const std::string& reason, long verify_error = 0);
  int OnClientHello(int* alert);
  int OnSession(SSL_SESSION* session);

 private:
  explicit Engine(std::shared_ptr<Context> context) : context_(std::move(context)) {}

  bool Start(const EngineOptions& options);
  void Open(const Memory& memory);
  int32_t Close(int32_t answer);
  void FailWithReason();
  int32_t AfterHandshake();

  friend int ReadCiphertext(BIO* bio, char* into, int length);
  friend int WriteCiphertext(BIO* bio, const char* bytes, int length);
  size_t TakeInput(uint8_t* into, size_t length);
  void PlaceOutput(const uint8_t* bytes, size_t length);

  std::shared_ptr<Context> context_;
  ConnectionPointer ssl_;
  std::string peer_name_;
  bool peer_name_is_address_ = false;
  std::string asked_name_;
  bool name_was_seen_ = false;
  bool peer_closed_ = false;
  Failure failure_ = Failure::kNone;
  std::string reason_;
  long verify_error_ = 0;
  std::vector<SessionPointer> sessions_;

  Memory memory_{};
  size_t output_used_ = 0;
  std::vector<uint8_t> held_input_;
  size_t held_input_at_ = 0;
  std::vector<uint8_t> held_output_;
};

}  // namespace sockmux::tls

#endif  // SOCKMUX_TLS_ENGINE_H_
