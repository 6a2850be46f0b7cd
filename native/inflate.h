// Decoders of compressed bytes: the zlib, the brotli and, since Node 22.15, the zstd inside the
// Node binary, found by name when first asked for, so that the addon also loads where one is
// missing.
#ifndef SOCKMUX_INFLATE_H_
#define SOCKMUX_INFLATE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sockmux {

// InflateFormat in lib/sys/inflate.ts.
enum class InflateFormat { kGzip = 1, kZlib = 2, kRaw = 3, kBrotli = 4, kZstd = 5 };

// InflateStatus in lib/sys/inflate.ts.
enum class InflateStatus {
  kNeedsInput = 0,
  kOutputFull = 1,
  kEnd = 2,
  kInvalid = -1,
  kNoMemory = -2,
};

// Input and output advance as far as they were used.
struct InflateStep {
  const uint8_t* input;
  size_t input_length;
  uint8_t* output;
  size_t output_length;
};

class Inflater {
 public:
  Inflater() = default;
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  virtual ~Inflater() = default;

  // nullptr when there is no such decoder here, or no memory.
  static std::unique_ptr<Inflater> Create(InflateFormat format);
  static bool Knows(InflateFormat format);

  virtual InflateStatus Run(InflateStep* step) = 0;
  // Ready for the beginning of another stream of the same format.
  virtual bool Reset() = 0;
};

}  // namespace sockmux

#endif  // SOCKMUX_INFLATE_H_
