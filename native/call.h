// One call from JavaScript: its arguments, checked one by one. A check that fails throws (TypeError
// for a wrong type, RangeError for a wrong value) and returns false; the verb then returns nullptr
// at once. Raw Node-API, because a crossing costs as much as the work behind it.
#ifndef SOCKMUX_CALL_H_
#define SOCKMUX_CALL_H_

#include <node_api.h>

#include <cmath>
#include <cstdint>
#include <string>

#include "environment.h"

namespace sockmux {

inline void ThrowTypeError(napi_env env, const char* name, const char* problem) {
  std::string message = std::string(name) + ": " + problem;
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message.c_str());
}

inline void ThrowRangeError(napi_env env, const char* name, const char* problem) {
  std::string message = std::string(name) + ": " + problem;
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message.c_str());
}

template <size_t kArguments>
class Call {
 public:
  Call(napi_env env, napi_callback_info info) : env_(env) {
    void* data;
    napi_get_cb_info(env, info, &count_, values_, nullptr, &data);
    state_ = static_cast<Environment*>(data);
  }

  Environment& state() { return *state_; }
  napi_env env() const { return env_; }
  size_t count() const { return count_; }
  napi_value value(size_t index) const { return values_[index]; }

  // A double is read, so that 2^32 is refused rather than wrapped to 0.
  bool Number(size_t index, const char* name, double* result) {
    if (napi_get_value_double(env_, values_[index], result) == napi_ok) return true;
    ThrowTypeError(env_, name, "must be a number");
    return false;
  }

  bool Integer(size_t index, const char* name, int32_t* result, int32_t min = INT32_MIN,
               int32_t max = INT32_MAX) {
    double number;
    if (!Number(index, name, &number)) return false;
    if (number >= min && number <= max) {
      *result = static_cast<int32_t>(number);
      if (*result == number) return true;
    }
    ThrowRangeError(env_, name, "must be an integer in range");
    return false;
  }

  // Up to 2^53, for positions in files.
  bool LongInteger(size_t index, const char* name, int64_t* result) {
    double number;
    if (!Number(index, name, &number)) return false;
    if (number >= 0 && number <= 9007199254740991.0 && std::trunc(number) == number) {
      *result = static_cast<int64_t>(number);
      return true;
    }
    ThrowRangeError(env_, name, "must be an integer in range");
    return false;
  }

  bool Fd(size_t index, int* result) { return Integer(index, "fd", result); }

  // (bufferId, offset, length) from `first` on.
  bool Bytes(size_t first, Span* span) {
    int32_t id, offset, length;
    if (!Integer(first, "bufferId", &id) || !Integer(first + 1, "offset", &offset) ||
        !Integer(first + 2, "length", &length)) {
      return false;
    }
    if (state_->buffers.Resolve(id, offset, length, span)) return true;
    if (state_->buffers.Has(id)) {
      ThrowRangeError(env_, "offset, length", "reach outside the buffer");
    } else {
      ThrowRangeError(env_, "bufferId", "is not allocated");
    }
    return false;
  }

  bool TypedArray(size_t index, const char* name, napi_typedarray_type wanted, void** data,
                  size_t* length) {
    napi_typedarray_type type;
    if (napi_get_typedarray_info(env_, values_[index], &type, length, data, nullptr, nullptr) ==
            napi_ok &&
        type == wanted) {
      return true;
    }
    ThrowTypeError(env_, name,
                   wanted == napi_int32_array     ? "must be an Int32Array"
                   : wanted == napi_float64_array ? "must be a Float64Array"
                                                  : "must be a Uint8Array");
    return false;
  }

  // An Int32Array and, in the next argument, how many entries of `stride` integers it holds.
  bool Entries(size_t index, const char* name, size_t stride, int32_t** entries, int32_t* count) {
    void* data;
    size_t length;
    if (!TypedArray(index, name, napi_int32_array, &data, &length)) return false;
    if (!Integer(index + 1, "count", count, 0)) return false;
    *entries = static_cast<int32_t*>(data);
    if (static_cast<size_t>(*count) <= length / stride) return true;
    ThrowRangeError(env_, "count", "is more than the array holds");
    return false;
  }

  // Milliseconds as poll(2) takes them: rounded up, so that a wait never ends early and spins;
  // clamped; -1 for ever.
  bool Timeout(size_t index, int* result) {
    double number;
    if (!Number(index, "timeoutMs", &number)) return false;
    if (std::isnan(number)) {
      ThrowRangeError(env_, "timeoutMs", "must not be NaN");
      return false;
    }
    if (number < 0 || std::isinf(number)) {
      *result = -1;
    } else {
      *result = number >= INT32_MAX ? INT32_MAX : static_cast<int>(std::ceil(number));
    }
    return true;
  }

  napi_value Result(int32_t number) {
    napi_value result;
    napi_create_int32(env_, number, &result);
    return result;
  }

  napi_value OutOfRange(const char* name, const char* problem) {
    ThrowRangeError(env_, name, problem);
    return nullptr;
  }

 private:
  napi_env env_;
  Environment* state_;
  size_t count_ = kArguments;
  napi_value values_[kArguments];
};

}  // namespace sockmux

#endif  // SOCKMUX_CALL_H_
