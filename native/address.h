// Addresses between JavaScript (a family number of ours, text, a port) and sockaddr.
#ifndef SOCKMUX_ADDRESS_H_
#define SOCKMUX_ADDRESS_H_

#include <node_api.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace sockmux {

// The numbers of Family in lib/sys/kernel.ts; a test compares them by behaviour.
inline constexpr int kFamilyUnix = 1;
inline constexpr int kFamilyIpv4 = 4;
inline constexpr int kFamilyIpv6 = 6;

// AF_*, or -1.
int DomainOf(int32_t family);

struct Address {
  sockaddr_storage storage;
  socklen_t length;
};

// 0, or -errno: EINVAL for text that is no address, ENAMETOOLONG for a path that does not fit,
// EADDRNOTAVAIL for a scope that names no interface.
int ParseAddress(int32_t family, const std::string& text, int32_t port, Address* address);

// { family, address, port }; -EAFNOSUPPORT as a number for families that are not ours.
napi_value AddressToObject(napi_env env, const sockaddr* address, socklen_t length);

}  // namespace sockmux

#endif  // SOCKMUX_ADDRESS_H_
