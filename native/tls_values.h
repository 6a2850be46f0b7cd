// Arguments and results of the TLS addon's functions. A check that fails throws (TypeError for a
// wrong type, RangeError for a wrong value) and returns false; the function then returns nullptr at
// once.
#ifndef SOCKMUX_TLS_VALUES_H_
#define SOCKMUX_TLS_VALUES_H_

#include <node_api.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sockmux::tls {

struct Environment;

struct Bytes {
  const uint8_t* data = nullptr;
  size_t length = 0;
};

inline bool ThrowType(napi_env env, const char* name, const char* problem) {
  std::string message = std::string(name) + ": " + problem;
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message.c_str());
  return false;
}

inline bool ThrowRange(napi_env env, const char* name, const char* problem) {
  std::string message = std::string(name) + ": " + problem;
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message.c_str());
  return false;
}

// A whole Uint8Array (a Buffer too).
inline bool GetBytes(napi_env env, napi_value value, const char* name, uint8_t** data,
                     size_t* length) {
  napi_typedarray_type type;
  void* start;
  if (napi_get_typedarray_info(env, value, &type, length, &start, nullptr, nullptr) == napi_ok &&
      type == napi_uint8_array) {
    *data = static_cast<uint8_t*>(start);
    return true;
  }
  return ThrowType(env, name, "must be a Uint8Array");
}

inline napi_value NewString(napi_env env, const std::string& text) {
  napi_value result;
  napi_create_string_utf8(env, text.data(), text.size(), &result);
  return result;
}

inline napi_value NewInteger(napi_env env, int32_t number) {
  napi_value result;
  napi_create_int32(env, number, &result);
  return result;
}

inline napi_value NewBoolean(napi_env env, bool value) {
  napi_value result;
  napi_get_boolean(env, value, &result);
  return result;
}

inline napi_value NewBytes(napi_env env, const void* data, size_t length) {
  napi_value result;
  napi_create_buffer_copy(env, length, data, nullptr, &result);
  return result;
}

template <size_t kArguments>
class Call {
 public:
  Call(napi_env env, napi_callback_info info) : env_(env) {
    void* data;
    napi_get_cb_info(env, info, &count_, values_, nullptr, &data);
    state_ = static_cast<Environment*>(data);
  }

  napi_env env() const { return env_; }
  Environment& state() const { return *state_; }
  napi_value value(size_t index) const { return values_[index]; }

  bool Integer(size_t index, const char* name, int32_t* result) {
    double number;
    if (napi_get_value_double(env_, values_[index], &number) != napi_ok) {
      return ThrowType(env_, name, "must be a number");
    }
    if (number >= INT32_MIN && number <= INT32_MAX) {
      *result = static_cast<int32_t>(number);
      if (*result == number) return true;
    }
    return ThrowRange(env_, name, "must be an integer in range");
  }

  // (bytes, offset, length) from `first` on.
  bool Span(size_t first, uint8_t** data, size_t* length) {
    size_t available = 0;
    int32_t offset = 0, size = 0;
    if (!GetBytes(env_, values_[first], "bytes", data, &available) ||
        !Integer(first + 1, "offset", &offset) || !Integer(first + 2, "length", &size)) {
      return false;
    }
    if (offset < 0 || size < 0 || static_cast<size_t>(offset) > available ||
        static_cast<size_t>(size) > available - static_cast<size_t>(offset)) {
      return ThrowRange(env_, "offset, length", "reach outside the bytes");
    }
    *data += offset;
    *length = static_cast<size_t>(size);
    return true;
  }

  bool Text(size_t index, const char* name, std::string* result) {
    size_t length;
    if (napi_get_value_string_utf8(env_, values_[index], nullptr, 0, &length) != napi_ok) {
      return ThrowType(env_, name, "must be a string");
    }
    result->resize(length);
    napi_get_value_string_utf8(env_, values_[index], result->data(), length + 1, &length);
    return true;
  }

 private:
  napi_env env_;
  Environment* state_;
  size_t count_ = kArguments;
  napi_value values_[kArguments];
};

// The fields of an options object. TypeScript has filled in every one of them, so a missing field
// is a mistake; the first mistake is thrown and turns `ok` off.
class Fields {
 public:
  Fields(napi_env env, napi_value object) : env_(env), object_(object) {}

  bool ok() const { return ok_; }

  bool Flag(const char* name) {
    bool result = false;
    if (napi_get_value_bool(env_, Get(name), &result) != napi_ok) Refuse(name, "must be a boolean");
    return result;
  }

  int32_t Integer(const char* name) {
    int32_t result = 0;
    if (napi_get_value_int32(env_, Get(name), &result) != napi_ok)
      Refuse(name, "must be an integer");
    return result;
  }

  std::string Text(const char* name) {
    size_t length = 0;
    napi_value value = Get(name);
    if (napi_get_value_string_utf8(env_, value, nullptr, 0, &length) != napi_ok) {
      Refuse(name, "must be a string");
      return {};
    }
    std::string result(length, '\0');
    napi_get_value_string_utf8(env_, value, result.data(), length + 1, &length);
    return result;
  }

  // Borrowed: valid while the call lasts.
  tls::Bytes Bytes(const char* name) {
    uint8_t* data = nullptr;
    tls::Bytes result;
    if (ok_ && !GetBytes(env_, Get(name), name, &data, &result.length)) ok_ = false;
    result.data = data;
    return result;
  }

  std::vector<tls::Bytes> BytesList(const char* name) {
    std::vector<tls::Bytes> result;
    napi_value list = Get(name);
    uint32_t count = 0;
    if (napi_get_array_length(env_, list, &count) != napi_ok) Refuse(name, "must be an array");
    for (uint32_t i = 0; ok_ && i < count; ++i) {
      napi_value element;
      napi_get_element(env_, list, i, &element);
      uint8_t* data = nullptr;
      tls::Bytes bytes;
      ok_ = GetBytes(env_, element, name, &data, &bytes.length);
      bytes.data = data;
      result.push_back(bytes);
    }
    return result;
  }

  napi_value Get(const char* name) {
    napi_value value = nullptr;
    napi_get_named_property(env_, object_, name, &value);
    return value;
  }

 private:
  void Refuse(const char* name, const char* problem) {
    if (ok_) ThrowType(env_, name, problem);
    ok_ = false;
  }

  napi_env env_;
  napi_value object_;
  bool ok_ = true;
};

}  // namespace sockmux::tls

#endif  // SOCKMUX_TLS_VALUES_H_
