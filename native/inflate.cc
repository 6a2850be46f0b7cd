#include "inflate.h"

#include <dlfcn.h>
#include <zlib.h>

#include "call.h"
#include "verbs.h"

namespace sockmux {

namespace {

// 15 bits of window; 16 more ask for a gzip wrapper, a negative number for none.
constexpr int kWindowBits = 15;

struct Zlib {
  decltype(&inflateInit2_) init;
  decltype(&::inflate) run;
  decltype(&inflateReset) reset;
  decltype(&inflateEnd) end;
};

// Brotli's own words for them; Node ships no header for it. The interface has not changed since
// 1.0.
enum BrotliResult { kBrotliError = 0, kBrotliSuccess = 1, kBrotliNeedsInput = 2 };
using BrotliState = struct BrotliDecoderStateStruct;

struct Brotli {
  BrotliState* (*create)(void* allocate, void* release, void* opaque);
  void (*destroy)(BrotliState* state);
  int (*run)(BrotliState* state, size_t* input_length, const uint8_t** input, size_t* output_length,
             uint8_t** output, size_t* total);
};

// Of zstd's stable interface, for which Node ships no header either.
struct ZstdInput {
  const void* bytes;
  size_t length;
  size_t position;
};
struct ZstdOutput {
  void* bytes;
  size_t length;
  size_t position;
};
using ZstdContext = struct ZSTD_DCtx_s;
constexpr int kZstdWindowLogMax = 100;  // ZSTD_d_windowLogMax
constexpr int kZstdResetSession = 1;    // ZSTD_reset_session_only
constexpr int kZstdNoMemory = 64;       // ZSTD_error_memory_allocation
// Of a content coding the window is at most 8 MiB (RFC 9659).
constexpr int kZstdWindowLog = 23;

struct Zstd {
  ZstdContext* (*create)();
  size_t (*destroy)(ZstdContext* context);
  size_t (*set)(ZstdContext* context, int parameter, int value);
  size_t (*reset)(ZstdContext* context, int directive);
  size_t (*run)(ZstdContext* context, ZstdOutput* output, ZstdInput* input);
  unsigned (*is_error)(size_t result);
  int (*error_of)(size_t result);
};

template <class Function>
bool Find(const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  return *function != nullptr;
}

const Zlib* FindZlib() {
  static Zlib zlib;
  static const bool found = Find("inflateInit2_", &zlib.init) && Find("inflate", &zlib.run) &&
                            Find("inflateReset", &zlib.reset) && Find("inflateEnd", &zlib.end);
  return found ? &zlib : nullptr;
}

const Brotli* FindBrotli() {
  static Brotli brotli;
  static const bool found = Find("BrotliDecoderCreateInstance", &brotli.create) &&
                            Find("BrotliDecoderDestroyInstance", &brotli.destroy) &&
                            Find("BrotliDecoderDecompressStream", &brotli.run);
  return found ? &brotli : nullptr;
}

const Zstd* FindZstd() {
  static Zstd zstd;
  static const bool found =
      Find("ZSTD_createDCtx", &zstd.create) && Find("ZSTD_freeDCtx", &zstd.destroy) &&
      Find("ZSTD_DCtx_setParameter", &zstd.set) && Find("ZSTD_DCtx_reset", &zstd.reset) &&
      Find("ZSTD_decompressStream", &zstd.run) && Find("ZSTD_isError", &zstd.is_error) &&
      Find("ZSTD_getErrorCode", &zstd.error_of);
  return found ? &zstd : nullptr;
}

class ZlibInflater : public Inflater {
 public:
  explicit ZlibInflater(const Zlib& zlib) : zlib_(zlib) {}

  ~ZlibInflater() override {
    if (open_) zlib_.end(&stream_);
  }

  bool Open(InflateFormat format) {
    int bits = kWindowBits;
    if (format == InflateFormat::kGzip) bits += 16;
    if (format == InflateFormat::kRaw) bits = -bits;
    open_ = zlib_.init(&stream_, bits, ZLIB_VERSION, static_cast<int>(sizeof(z_stream))) == Z_OK;
    return open_;
  }

  InflateStatus Run(InflateStep* step) override {
    stream_.next_in = const_cast<Bytef*>(step->input);
    stream_.avail_in = static_cast<uInt>(step->input_length);
    stream_.next_out = step->output;
    stream_.avail_out = static_cast<uInt>(step->output_length);
    int result = zlib_.run(&stream_, Z_NO_FLUSH);
    step->input = stream_.next_in;
    step->input_length = stream_.avail_in;
    step->output = stream_.next_out;
    step->output_length = stream_.avail_out;
    // Nothing of the caller's is kept until the next step.
    stream_.next_in = nullptr;
    stream_.next_out = nullptr;
    switch (result) {
      case Z_STREAM_END:
        return InflateStatus::kEnd;
      case Z_OK:
      case Z_BUF_ERROR:  // no progress was possible
        return step->output_length == 0 ? InflateStatus::kOutputFull : InflateStatus::kNeedsInput;
      case Z_MEM_ERROR:
        return InflateStatus::kNoMemory;
      default:
        return InflateStatus::kInvalid;
    }
  }

  bool Reset() override { return zlib_.reset(&stream_) == Z_OK; }

 private:
  const Zlib& zlib_;
  z_stream stream_ = {};
  bool open_ = false;
};

class BrotliInflater : public Inflater {
 public:
  explicit BrotliInflater(const Brotli& brotli) : brotli_(brotli) {}

  ~BrotliInflater() override {
    if (state_ != nullptr) brotli_.destroy(state_);
  }

  bool Open() {
    state_ = brotli_.create(nullptr, nullptr, nullptr);
    return state_ != nullptr;
  }

  InflateStatus Run(InflateStep* step) override {
    int result = brotli_.run(state_, &step->input_length, &step->input, &step->output_length,
                             &step->output, nullptr);
    switch (result) {
      case kBrotliSuccess:
        return InflateStatus::kEnd;
      case kBrotliNeedsInput:
        return InflateStatus::kNeedsInput;
      case kBrotliError:
        return InflateStatus::kInvalid;
      default:
        return InflateStatus::kOutputFull;
    }
  }

  bool Reset() override {
    brotli_.destroy(state_);
    return Open();
  }

 private:
  const Brotli& brotli_;
  BrotliState* state_ = nullptr;
};

class ZstdInflater : public Inflater {
 public:
  explicit ZstdInflater(const Zstd& zstd) : zstd_(zstd) {}

  ~ZstdInflater() override { zstd_.destroy(context_); }

  bool Open() {
    context_ = zstd_.create();
    return context_ != nullptr &&
           zstd_.is_error(zstd_.set(context_, kZstdWindowLogMax, kZstdWindowLog)) == 0;
  }

  // One frame, or one that is to be skipped.
  InflateStatus Run(InflateStep* step) override {
    ZstdInput input = {step->input, step->input_length, 0};
    ZstdOutput output = {step->output, step->output_length, 0};
    size_t result = zstd_.run(context_, &output, &input);
    step->input += input.position;
    step->input_length -= input.position;
    step->output += output.position;
    step->output_length -= output.position;
    if (zstd_.is_error(result) != 0) {
      return zstd_.error_of(result) == kZstdNoMemory ? InflateStatus::kNoMemory
                                                     : InflateStatus::kInvalid;
    }
    if (result == 0) return InflateStatus::kEnd;
    return step->output_length == 0 ? InflateStatus::kOutputFull : InflateStatus::kNeedsInput;
  }

  bool Reset() override { return zstd_.is_error(zstd_.reset(context_, kZstdResetSession)) == 0; }

 private:
  const Zstd& zstd_;
  ZstdContext* context_ = nullptr;
};

bool FormatOf(int32_t number, InflateFormat* format) {
  if (number < 1 || number > static_cast<int32_t>(InflateFormat::kZstd)) return false;
  *format = static_cast<InflateFormat>(number);
  return true;
}

}  // namespace

bool Inflater::Knows(InflateFormat format) {
  if (format == InflateFormat::kBrotli) return FindBrotli() != nullptr;
  if (format == InflateFormat::kZstd) return FindZstd() != nullptr;
  return FindZlib() != nullptr;
}

std::unique_ptr<Inflater> Inflater::Create(InflateFormat format) {
  if (!Knows(format)) return nullptr;
  if (format == InflateFormat::kBrotli) {
    auto brotli = std::make_unique<BrotliInflater>(*FindBrotli());
    if (!brotli->Open()) return nullptr;
    return brotli;
  }
  if (format == InflateFormat::kZstd) {
    auto zstd = std::make_unique<ZstdInflater>(*FindZstd());
    if (!zstd->Open()) return nullptr;
    return zstd;
  }
  auto zlib = std::make_unique<ZlibInflater>(*FindZlib());
  if (!zlib->Open(format)) return nullptr;
  return zlib;
}

// inflateKnows(format) → 1 when it can be undone here, else 0
napi_value InflateKnows(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t number;
  InflateFormat format;
  if (!call.Integer(0, "format", &number)) return nullptr;
  return call.Result(FormatOf(number, &format) && Inflater::Knows(format) ? 1 : 0);
}

// inflateOpen(format) → id > 0, or -ENOMEM
napi_value InflateOpen(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t number;
  InflateFormat format;
  if (!call.Integer(0, "format", &number)) return nullptr;
  if (!FormatOf(number, &format) || !Inflater::Knows(format)) {
    return call.OutOfRange("format", "is not known here");
  }
  std::unique_ptr<Inflater> inflater = Inflater::Create(format);
  if (inflater == nullptr) return call.Result(-ENOMEM);
  return call.Result(call.state().inflaters.Add(std::move(inflater)));
}

// inflateRun(id, input, start, end, output, progress) → InflateStatus; progress becomes [bytes of
// the input used, bytes of the output made]
napi_value InflateRun(napi_env env, napi_callback_info info) {
  Call<6> call(env, info);
  int32_t id, start, end;
  void* input;
  void* output;
  void* progress;
  size_t input_length, output_length, progress_length;
  if (!call.Integer(0, "id", &id) ||
      !call.TypedArray(1, "input", napi_uint8_array, &input, &input_length) ||
      !call.Integer(2, "start", &start, 0) || !call.Integer(3, "end", &end, 0) ||
      !call.TypedArray(4, "output", napi_uint8_array, &output, &output_length) ||
      !call.TypedArray(5, "progress", napi_int32_array, &progress, &progress_length)) {
    return nullptr;
  }
  if (start > end || static_cast<size_t>(end) > input_length) {
    return call.OutOfRange("start, end", "reach outside the input");
  }
  if (output_length == 0 || output_length > INT32_MAX) {
    return call.OutOfRange("output", "must hold 1 to 2^31 - 1 bytes");
  }
  if (progress_length < 2) return call.OutOfRange("progress", "must hold two integers");
  Inflater* inflater = call.state().inflaters.Find(id);
  if (inflater == nullptr) return call.OutOfRange("id", "is not open");
  // The data of an empty array may be null, which zlib does not take.
  static const uint8_t kNothing = 0;
  auto length = static_cast<size_t>(end - start);
  const uint8_t* first = length == 0 ? &kNothing : static_cast<const uint8_t*>(input) + start;
  InflateStep step = {first, length, static_cast<uint8_t*>(output), output_length};
  InflateStatus status = inflater->Run(&step);
  auto* counts = static_cast<int32_t*>(progress);
  counts[0] = static_cast<int32_t>(length - step.input_length);
  counts[1] = static_cast<int32_t>(output_length - step.output_length);
  return call.Result(static_cast<int32_t>(status));
}

// inflateReset(id) → 0, or -ENOMEM: another stream of the same format follows
napi_value InflateReset(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id;
  if (!call.Integer(0, "id", &id)) return nullptr;
  Inflater* inflater = call.state().inflaters.Find(id);
  if (inflater == nullptr) return call.OutOfRange("id", "is not open");
  if (inflater->Reset()) return call.Result(0);
  call.state().inflaters.Remove(id);
  return call.Result(-ENOMEM);
}

// inflateClose(id): idempotent
napi_value InflateClose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  int32_t id;
  if (!call.Integer(0, "id", &id)) return nullptr;
  call.state().inflaters.Remove(id);
  return nullptr;
}

}  // namespace sockmux
