#include "tls_engine.h"

#include <algorithm>
#include <cstring>

#include "tls_verify.h"

namespace sockmux::tls {

namespace {

constexpr size_t kPlainMax = SSL3_RT_MAX_PLAIN_LENGTH;
// A full record with its header and the most that any cipher adds.
constexpr size_t kRecordMax = SSL3_RT_HEADER_LENGTH + kPlainMax + 256 + 64;
// As many as a server of today sends after a handshake, twice.
constexpr size_t kSessionsMax = 4;

BIO_METHOD* Method();

}  // namespace

int ReadCiphertext(BIO* bio, char* into, int length) {
  BIO_clear_retry_flags(bio);
  auto* engine = static_cast<Engine*>(BIO_get_data(bio));
  size_t taken =
      engine->TakeInput(reinterpret_cast<uint8_t*>(into), static_cast<size_t>(std::max(length, 0)));
  if (taken > 0) return static_cast<int>(taken);
  BIO_set_retry_read(bio);
  return -1;
}

int WriteCiphertext(BIO* bio, const char* bytes, int length) {
  BIO_clear_retry_flags(bio);
  auto* engine = static_cast<Engine*>(BIO_get_data(bio));
  engine->PlaceOutput(reinterpret_cast<const uint8_t*>(bytes),
                      static_cast<size_t>(std::max(length, 0)));
  return length;
}

namespace {

long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int Prepare(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

BIO_METHOD* NewMethod() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sockmux");
  BIO_meth_set_read(method, ReadCiphertext);
  BIO_meth_set_write(method, WriteCiphertext);
  BIO_meth_set_ctrl(method, Control);
  BIO_meth_set_create(method, Prepare);
  return method;
}

// Of the process; never freed, because threads may still use it.
BIO_METHOD* Method() {
  static BIO_METHOD* const method = NewMethod();
  return method;
}

}  // namespace

std::unique_ptr<Engine> Engine::Create(std::shared_ptr<Context> context,
                                       const EngineOptions& options) {
  std::unique_ptr<Engine> engine(new Engine(std::move(context)));
  bool started = engine->Start(options);
  ERR_clear_error();
  return started ? std::move(engine) : nullptr;
}

bool Engine::Start(const EngineOptions& options) {
  ssl_.reset(SSL_new(context_->ssl_context()));
  BIO* bio = BIO_new(Method());
  if (ssl_ == nullptr || bio == nullptr) {
    BIO_free(bio);
    return false;
  }
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), this);
  peer_name_ = options.peer_name;
  peer_name_is_address_ = options.peer_name_is_address;
  if (context_->server()) {
    SSL_set_accept_state(ssl_.get());
    return true;
  }
  SSL_set_connect_state(ssl_.get());
  if (!options.server_name.empty() &&
      SSL_set_tlsext_host_name(ssl_.get(), options.server_name.c_str()) != 1) {
    return false;
  }
  // A session that cannot be used is no reason to fail.
  if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session);
  return true;
}

Engine::~Engine() {
  // Without this OpenSSL takes the missing close_notify for a reason to spoil the session, which
  // the next connection resumes.
  if (ssl_ != nullptr && failure_ == Failure::kNone) {
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
}

int32_t Engine::Handshake(const Memory& memory) {
  Open(memory);
  if (failure_ != Failure::kNone) return Close(kFailed);
  int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return Close(AfterHandshake());
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Close(kAgain);
    case SSL_ERROR_WANT_CLIENT_HELLO_CB:
      return Close(kChooseContext);
    default:
      FailWithReason();
      return Close(kFailed);
  }
}

int32_t Engine::AfterHandshake() {
  if (context_->server() || SSL_session_reused(ssl_.get()) == 0) return kDone;
  return CheckPeer(ssl_.get(), SSL_get0_peer_certificate(ssl_.get())) ? kDone : kFailed;
}

int32_t Engine::Read(const Memory& memory, uint8_t* plain, size_t length) {
  Open(memory);
  size_t total = 0;
  while (total < length && failure_ == Failure::kNone && !peer_closed_) {
    size_t count = 0;
    int result = SSL_read_ex(ssl_.get(), plain + total, length - total, &count);
    total += count;
    if (result == 1) continue;
    int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) break;
    if (error == SSL_ERROR_ZERO_RETURN) {
      peer_closed_ = true;
    } else {
      FailWithReason();
    }
  }
  if (total > 0) return Close(static_cast<int32_t>(total));
  if (failure_ != Failure::kNone) return Close(kFailed);
  return Close(peer_closed_ ? kDone : kAgain);
}

int32_t Engine::Write(const Memory& memory, const uint8_t* plain, size_t length) {
  Open(memory);
  if (failure_ != Failure::kNone) return Close(kFailed);
  size_t total = 0;
  int32_t pieces = 0;
  while (total < length && pieces < kPiecesMax &&
         memory_.output_length - output_used_ >= kRecordMax) {
    size_t count = 0;
    int result =
        SSL_write_ex(ssl_.get(), plain + total, std::min(length - total, kPlainMax), &count);
    if (result != 1) {
      int error = SSL_get_error(ssl_.get(), result);
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) break;
      FailWithReason();
      break;
    }
    total += count;
    memory_.status[kPieceEnds + pieces++] = static_cast<int32_t>(output_used_);
  }
  memory_.status[kPieceCount] = pieces;
  if (total > 0) return Close(static_cast<int32_t>(total));
  return Close(failure_ != Failure::kNone ? kFailed : kAgain);
}

int32_t Engine::Shutdown(const Memory& memory) {
  Open(memory);
  if (failure_ == Failure::kNone && SSL_is_init_finished(ssl_.get()) == 1) {
    SSL_shutdown(ssl_.get());
  }
  return Close(kDone);
}

bool Engine::UseContext(std::shared_ptr<Context> context) {
  if (!context->server() || SSL_set_SSL_CTX(ssl_.get(), context->ssl_context()) == nullptr) {
    ERR_clear_error();
    return false;
  }
  SSL_set_verify(ssl_.get(), SSL_CTX_get_verify_mode(context->ssl_context()), nullptr);
  context_ = std::move(context);
  return true;
}

SessionPointer Engine::TakeSession() {
  while (!sessions_.empty()) {
    SessionPointer session = std::move(sessions_.back());
    sessions_.pop_back();
    if (SSL_SESSION_is_resumable(session.get()) == 1) return session;
  }
  return nullptr;
}

void Engine::Fail(Failure failure, const std::string& reason, long verify_error) {
  if (failure_ != Failure::kNone) return;
  failure_ = failure;
  reason_ = reason;
  verify_error_ = verify_error;
}

void Engine::FailWithReason() {
  unsigned long error = ERR_peek_error();
  bool required = ERR_GET_LIB(error) == ERR_LIB_SSL &&
                  ERR_GET_REASON(error) == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED;
  std::string reason = TakeReason();
  Fail(required ? Failure::kCertificateRequired : Failure::kProtocol,
       reason.empty() ? "the connection broke" : reason);
}

int Engine::OnClientHello(int*) {
  if (name_was_seen_) return SSL_CLIENT_HELLO_SUCCESS;
  name_was_seen_ = true;
  const uint8_t* extension;
  size_t length;
  // A list of names that holds one host name: lengths of list and name, and a type between.
  constexpr size_t kHead = 5;
  if (SSL_client_hello_get0_ext(ssl_.get(), TLSEXT_TYPE_server_name, &extension, &length) == 1 &&
      length > kHead && extension[2] == TLSEXT_NAMETYPE_host_name) {
    size_t size = static_cast<size_t>(extension[3]) << 8 | extension[4];
    if (size <= length - kHead) {
      asked_name_.assign(reinterpret_cast<const char*>(extension + kHead), size);
    }
  }
  return SSL_CLIENT_HELLO_RETRY;
}

int Engine::OnSession(SSL_SESSION* session) {
  if (sessions_.size() == kSessionsMax) return 0;
  sessions_.emplace_back(session);
  return 1;
}

void Engine::Open(const Memory& memory) {
  ERR_clear_error();
  memory_ = memory;
  output_used_ = 0;
  memory_.status[kPieceCount] = 0;
  if (held_output_.empty()) return;
  std::vector<uint8_t> held = std::move(held_output_);
  held_output_.clear();
  PlaceOutput(held.data(), held.size());
}

int32_t Engine::Close(int32_t answer) {
  ERR_clear_error();
  if (memory_.input_length > 0) {
    held_input_.erase(held_input_.begin(),
                      held_input_.begin() + static_cast<ptrdiff_t>(held_input_at_));
    held_input_at_ = 0;
    held_input_.insert(held_input_.end(), memory_.input, memory_.input + memory_.input_length);
  }
  bool has_ended = peer_closed_ || failure_ != Failure::kNone;
  bool has_bytes = held_input_at_ < held_input_.size() || SSL_pending(ssl_.get()) > 0;
  int32_t flags = 0;
  if (has_bytes || has_ended) flags |= kPending;
  if (!held_output_.empty()) flags |= kMoreOutput;
  if (peer_closed_) flags |= kPeerClosed;
  if (!sessions_.empty()) flags |= kHasSessions;
  memory_.status[kFlags] = flags;
  memory_.status[kOutput] = static_cast<int32_t>(output_used_);
  memory_ = {};
  return answer;
}

size_t Engine::TakeInput(uint8_t* into, size_t length) {
  size_t held = std::min(length, held_input_.size() - held_input_at_);
  if (held > 0) {
    memcpy(into, held_input_.data() + held_input_at_, held);
    held_input_at_ += held;
    if (held_input_at_ == held_input_.size()) {
      std::vector<uint8_t>().swap(held_input_);
      held_input_at_ = 0;
    }
  }
  size_t fresh = std::min(length - held, memory_.input_length);
  if (fresh > 0) {
    memcpy(into + held, memory_.input, fresh);
    memory_.input += fresh;
    memory_.input_length -= fresh;
  }
  return held + fresh;
}

void Engine::PlaceOutput(const uint8_t* bytes, size_t length) {
  size_t placed = std::min(length, memory_.output_length - output_used_);
  if (placed > 0) memcpy(memory_.output + output_used_, bytes, placed);
  output_used_ += placed;
  if (placed < length) held_output_.insert(held_output_.end(), bytes + placed, bytes + length);
}

}  // namespace sockmux::tls
