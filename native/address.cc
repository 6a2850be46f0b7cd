#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace sockmux {

namespace {

constexpr size_t kPathOffset = offsetof(sockaddr_un, sun_path);
constexpr size_t kPathMax = sizeof(sockaddr_un::sun_path);

int ParseUnix(const std::string& path, Address* address) {
  auto* unix_address = reinterpret_cast<sockaddr_un*>(&address->storage);
  unix_address->sun_family = AF_UNIX;
  bool abstract = !path.empty() && path[0] == '\0';
#if !defined(__linux__)
  if (abstract) return -EINVAL;
#endif
  // An abstract name may hold any byte and ends where its length says; a path ends at its NUL.
  if (!abstract && path.find('\0') != std::string::npos) return -EINVAL;
  size_t size = path.empty() || abstract ? path.size() : path.size() + 1;
  if (size > kPathMax) return -ENAMETOOLONG;
  memcpy(unix_address->sun_path, path.data(), path.size());
  address->length = static_cast<socklen_t>(kPathOffset + size);
  return 0;
}

int ParseIpv4(const std::string& text, int32_t port, Address* address) {
  auto* ip = reinterpret_cast<sockaddr_in*>(&address->storage);
  ip->sin_family = AF_INET;
  ip->sin_port = htons(static_cast<uint16_t>(port));
  address->length = sizeof *ip;
  return inet_pton(AF_INET, text.c_str(), &ip->sin_addr) == 1 ? 0 : -EINVAL;
}

// The interface index behind '%': a number, or an interface's name. 0 when there is none such.
uint32_t ParseScope(const char* scope) {
  if (*scope >= '0' && *scope <= '9') {
    char* end;
    unsigned long index = strtoul(scope, &end, 10);
    if (*end == '\0') return index <= UINT32_MAX ? static_cast<uint32_t>(index) : 0;
  }
  return if_nametoindex(scope);
}

int ParseIpv6(const std::string& text, int32_t port, Address* address) {
  auto* ip = reinterpret_cast<sockaddr_in6*>(&address->storage);
  ip->sin6_family = AF_INET6;
  ip->sin6_port = htons(static_cast<uint16_t>(port));
  address->length = sizeof *ip;
  size_t percent = text.find('%');
  if (inet_pton(AF_INET6, text.substr(0, percent).c_str(), &ip->sin6_addr) != 1) return -EINVAL;
  if (percent == std::string::npos) return 0;
  ip->sin6_scope_id = ParseScope(text.c_str() + percent + 1);
  return ip->sin6_scope_id == 0 ? -EADDRNOTAVAIL : 0;
}

std::string UnixText(const sockaddr_un* address, socklen_t length) {
  if (length <= kPathOffset) return "";
  size_t size = length - kPathOffset;
  bool abstract = address->sun_path[0] == '\0';
#if !defined(__linux__)
  if (abstract) return "";
#endif
  return std::string(address->sun_path, abstract ? size : strnlen(address->sun_path, size));
}

std::string Ipv4Text(const sockaddr_in* address) {
  char text[INET_ADDRSTRLEN];
  return inet_ntop(AF_INET, &address->sin_addr, text, sizeof text) == nullptr ? "" : text;
}

std::string Ipv6Text(const sockaddr_in6* address) {
  char text[INET6_ADDRSTRLEN];
  if (inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof text) == nullptr) return "";
  if (address->sin6_scope_id == 0) return text;
  char name[IF_NAMESIZE];
  bool known = if_indextoname(address->sin6_scope_id, name) != nullptr;
  return std::string(text) + "%" + (known ? name : std::to_string(address->sin6_scope_id));
}

napi_value NewAddress(napi_env env, int family, const std::string& text, uint16_t port) {
  napi_value result, family_value, text_value, port_value;
  napi_create_object(env, &result);
  napi_create_int32(env, family, &family_value);
  napi_create_string_utf8(env, text.data(), text.size(), &text_value);
  napi_create_int32(env, port, &port_value);
  napi_set_named_property(env, result, "family", family_value);
  napi_set_named_property(env, result, "address", text_value);
  napi_set_named_property(env, result, "port", port_value);
  return result;
}

}  // namespace

int DomainOf(int32_t family) {
  switch (family) {
    case kFamilyUnix:
      return AF_UNIX;
    case kFamilyIpv4:
      return AF_INET;
    case kFamilyIpv6:
      return AF_INET6;
    default:
      return -1;
  }
}

int ParseAddress(int32_t family, const std::string& text, int32_t port, Address* address) {
  memset(&address->storage, 0, sizeof address->storage);
  if (family == kFamilyUnix) return ParseUnix(text, address);
  if (text.find('\0') != std::string::npos) return -EINVAL;
  return family == kFamilyIpv4 ? ParseIpv4(text, port, address) : ParseIpv6(text, port, address);
}

napi_value AddressToObject(napi_env env, const sockaddr* address, socklen_t length) {
  // An unnamed unix socket may answer with no address at all.
  int domain = length < kPathOffset ? AF_UNIX : address->sa_family;
  if (domain == AF_UNIX) {
    auto* unix_address = reinterpret_cast<const sockaddr_un*>(address);
    return NewAddress(env, kFamilyUnix, UnixText(unix_address, length), 0);
  }
  if (domain == AF_INET) {
    auto* ip = reinterpret_cast<const sockaddr_in*>(address);
    return NewAddress(env, kFamilyIpv4, Ipv4Text(ip), ntohs(ip->sin_port));
  }
  if (domain == AF_INET6) {
    auto* ip = reinterpret_cast<const sockaddr_in6*>(address);
    return NewAddress(env, kFamilyIpv6, Ipv6Text(ip), ntohs(ip->sin6_port));
  }
  napi_value result;
  napi_create_int32(env, -EAFNOSUPPORT, &result);
  return result;
}

}  // namespace sockmux
