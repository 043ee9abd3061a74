// File: scripted_http2.h
//
// Just enough of a server's side of HTTP/2 (RFC 9113) to misbehave in frames.
//
// Thread rule: plain functions over a connection in one thread's hands.

#ifndef TESTS_SUPPORT_SCRIPTED_HTTP2_H_
#define TESTS_SUPPORT_SCRIPTED_HTTP2_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/support/scripted_server.h"

namespace picket {

enum Http2Type : uint8_t {
  kHttp2Data = 0,
  kHttp2Headers = 1,
  kHttp2RstStream = 3,
  kHttp2Settings = 4,
  kHttp2PushPromise = 5,
  kHttp2Ping = 6,
  kHttp2Goaway = 7,
  kHttp2WindowUpdate = 8,
  kHttp2Continuation = 9,
};

constexpr uint8_t kHttp2EndStream = 1;
constexpr uint8_t kHttp2EndHeaders = 4;

std::string Http2Frame(uint8_t type, uint8_t flags, uint32_t stream, absl::string_view payload);
std::string Http2Number32(uint32_t number);
// A field that is not compressed (RFC 7541, section 6.2.2); both lengths below 127.
std::string Http2Field(absl::string_view name, absl::string_view value);

// Exchanges prefaces and settings and reads up to the end of the next request's head.
// Returns its stream; 0 if the client left.
uint32_t Http2ReadRequest(ScriptedConnection& connection, bool first = true);

}  // namespace picket

#endif  // TESTS_SUPPORT_SCRIPTED_HTTP2_H_
