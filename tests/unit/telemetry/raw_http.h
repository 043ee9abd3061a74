// File: raw_http.h
//
// One HTTP exchange over a plain socket, bytes in and bytes out, for tests of servers.

#ifndef TESTS_UNIT_TELEMETRY_RAW_HTTP_H_
#define TESTS_UNIT_TELEMETRY_RAW_HTTP_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace picket {

// A connection to "ip:port", or -1.
inline int Connect(absl::string_view address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (!absl::SimpleAtoi(address.substr(colon + 1), &port)) return -1;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, std::string(address.substr(0, colon)).c_str(), &to.sin_addr);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

inline bool SendAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// Everything until the other end closes.
inline std::string ReadAll(int fd) {
  std::string all;
  char buffer[4096];
  ssize_t n;
  while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) all.append(buffer, static_cast<size_t>(n));
  return all;
}

inline std::string Exchange(absl::string_view address, absl::string_view request) {
  const int fd = Connect(address);
  if (fd < 0) return "cannot connect";
  SendAll(fd, request);
  std::string answer = ReadAll(fd);
  close(fd);
  return answer;
}

inline std::string Get(absl::string_view address, absl::string_view path,
                       absl::string_view host = "localhost") {
  return Exchange(address, absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: ", host, "\r\n\r\n"));
}

}  // namespace picket

#endif  // TESTS_UNIT_TELEMETRY_RAW_HTTP_H_
