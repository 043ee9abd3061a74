// File: http_get.h
//
// One HTTP request over a plain socket, byte for byte, for tests of servers of ours.
//
// Thread rule: pure but for the socket.

#ifndef TESTS_SUPPORT_HTTP_GET_H_
#define TESTS_SUPPORT_HTTP_GET_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace picket {

// A connected socket; the caller closes it. `address` is "ip:port".
inline int HttpConnect(const std::string& address) {
  const size_t colon = address.rfind(':');
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(colon + 1), &port));
  to.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  return fd;
}

inline void HttpSend(int fd, const std::string& bytes) {
  EXPECT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

// What comes until `mark` has come, or until the end if it is empty.
inline std::string HttpReadUntil(int fd, const std::string& mark) {
  std::string answer;
  char buffer[4096];
  ssize_t size;
  while ((mark.empty() || !absl::StrContains(answer, mark)) &&
         (size = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
    answer.append(buffer, static_cast<size_t>(size));
  }
  return answer;
}

// The whole answer: status line, headers, body.
inline std::string HttpAsk(const std::string& address, const std::string& method,
                           const std::string& target, const std::string& body,
                           const std::string& type = "application/json") {
  const int fd = HttpConnect(address);
  HttpSend(fd, absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: localhost\r\n",
                            "Connection: close\r\nContent-Type: ", type,
                            "\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
  const std::string answer = HttpReadUntil(fd, "");
  close(fd);
  return answer;
}

}  // namespace picket

#endif  // TESTS_SUPPORT_HTTP_GET_H_
