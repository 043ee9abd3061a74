#include "tests/support/scripted_http2.h"

#include "absl/strings/str_cat.h"

namespace picket {

std::string Http2Number32(uint32_t number) {
  return {static_cast<char>(number >> 24), static_cast<char>((number >> 16) & 0xff),
          static_cast<char>((number >> 8) & 0xff), static_cast<char>(number & 0xff)};
}

std::string Http2Frame(uint8_t type, uint8_t flags, uint32_t stream, absl::string_view payload) {
  const std::string length = Http2Number32(static_cast<uint32_t>(payload.size())).substr(1);
  return absl::StrCat(length, std::string(1, static_cast<char>(type)),
                      std::string(1, static_cast<char>(flags)), Http2Number32(stream), payload);
}

std::string Http2Field(absl::string_view name, absl::string_view value) {
  return absl::StrCat(std::string(1, '\0'), std::string(1, static_cast<char>(name.size())), name,
                      std::string(1, static_cast<char>(value.size())), value);
}

uint32_t Http2ReadRequest(ScriptedConnection& connection, bool first) {
  if (first) {
    if (connection.ReadBytes(24).size() != 24) return 0;
    connection.Write(Http2Frame(kHttp2Settings, 0, 0, ""));
    connection.Write(Http2Frame(kHttp2Settings, 1, 0, ""));
  }
  while (true) {
    const std::string head = connection.ReadBytes(9);
    if (head.size() != 9) return 0;
    const auto byte = [&head](size_t i) {
      return static_cast<uint32_t>(static_cast<uint8_t>(head[i]));
    };
    connection.ReadBytes(byte(0) << 16 | byte(1) << 8 | byte(2));
    if (head[3] != kHttp2Headers) continue;
    return byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8);
  }
}

}  // namespace picket
