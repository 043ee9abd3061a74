#include "agent/engine/transfer_head.h"

#include <string>
#include <vector>

#include "agent/engine/limits.h"
#include "agent/engine/transfer_url.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace picket {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

bool Feed(ResponseHead* head, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    if (!head->Line(line)) return false;
  }
  return true;
}

TEST(ResponseHeadTest, KeepsFieldsInOrder) {
  ResponseHead head;
  EXPECT_TRUE(Feed(&head, {"HTTP/1.1 200 OK\r\n", "A: 1\r\n", "b:2 \r\n", "A: 3\n", "C:\r\n"}));
  EXPECT_FALSE(head.complete());
  EXPECT_TRUE(head.Line("\r\n"));
  EXPECT_TRUE(head.complete());
  EXPECT_THAT(head.fields(),
              ElementsAre(Pair("A", "1"), Pair("b", "2"), Pair("A", "3"), Pair("C", "")));
}

TEST(ResponseHeadTest, JoinsFoldedLines) {
  ResponseHead head;
  EXPECT_TRUE(Feed(&head, {"HTTP/1.1 200 OK\r\n", "A: 1\r\n", "  2\r\n", "\r\n"}));
  EXPECT_THAT(head.fields(), ElementsAre(Pair("A", "1 2")));
}

TEST(ResponseHeadTest, AFoldedLengthIsReadWhole) {
  ResponseHead head;
  EXPECT_FALSE(Feed(&head, {"HTTP/1.1 200 OK\r\n", "Content-Length: 1\r\n", " 2\r\n", "\r\n"}));
  EXPECT_THAT(head.problem(), HasSubstr("Content-Length"));
}

TEST(ResponseHeadTest, InterimHeadsLeaveNoTrace) {
  ResponseHead head;
  EXPECT_TRUE(Feed(&head, {"HTTP/1.1 103 Early Hints\r\n", "Link: x\r\n", "\r\n"}));
  EXPECT_FALSE(head.complete());
  EXPECT_TRUE(Feed(&head, {"HTTP/1.1 200\r\n", "\r\n"}));
  EXPECT_EQ(head.status(), 200);
  EXPECT_THAT(head.fields(), ElementsAre());
}

TEST(ResponseHeadTest, LimitsAreReached) {
  const EngineLimits& limits = DefaultEngineLimits();
  ResponseHead many;
  many.Line("HTTP/1.1 200 OK\r\n");
  for (size_t i = 0; i < limits.response_header_fields; ++i) EXPECT_TRUE(many.Line("A: b\r\n"));
  EXPECT_FALSE(many.Line("A: b\r\n"));
  EXPECT_EQ(many.reason(), v1::FailureReason::headers_too_large);
  ResponseHead large;
  large.Line("HTTP/1.1 200 OK\r\n");
  EXPECT_FALSE(large.Line("A: " + std::string(limits.response_header_bytes, 'x') + "\r\n"));
  EXPECT_EQ(large.reason(), v1::FailureReason::headers_too_large);
  ResponseHead interim;
  bool taken = true;
  for (size_t i = 0; i < limits.interim_responses; ++i) {
    taken = taken && interim.Line("HTTP/1.1 102 Processing\r\n") && interim.Line("\r\n");
  }
  EXPECT_TRUE(taken);
  EXPECT_FALSE(interim.Line("HTTP/1.1 102 Processing\r\n"));
}

TEST(ResponseHeadTest, ProblemsShowNoControlCharacters) {
  ResponseHead head;
  EXPECT_FALSE(head.Line("\x1b[31mred\x07\r\n"));
  for (const char c : head.problem()) EXPECT_GE(c, ' ');
}

TEST(TransferUrlTest, NamesWhomToConnectTo) {
  struct Case {
    const char* url;
    bool https;
    const char* host;
    int port;
  };
  for (const Case& expected :
       std::vector<Case>{{"http://Example.COM", false, "example.com", 80},
                         {"HTTPS://example.com/", true, "example.com", 443},
                         {"http://example.com:8080?x=http://other", false, "example.com", 8080},
                         {"http://user:p@ss@example.com:81/@x", false, "example.com", 81},
                         {"http://[2001:DB8::1]:82/", false, "2001:db8::1", 82},
                         {"http://example.com:/", false, "example.com", 80},
                         {"http://b\xc3\xbc"
                          "cher.example/",
                          false, "xn--bcher-kva.example", 80}}) {
    const auto target = ParseUrlTarget(expected.url);
    ASSERT_TRUE(target.ok()) << expected.url << ": " << target.status();
    EXPECT_EQ(target->https, expected.https);
    EXPECT_EQ(target->host, expected.host);
    EXPECT_EQ(target->port, expected.port);
  }
}

TEST(TransferUrlTest, ProxiesHaveTheirParts) {
  const auto proxy = ParseProxy("socks5h://me:p%40ss@proxy.test:1081/");
  ASSERT_TRUE(proxy.ok());
  EXPECT_TRUE(proxy->socks);
  EXPECT_EQ(proxy->host, "proxy.test");
  EXPECT_EQ(proxy->port, 1081);
  EXPECT_EQ(proxy->user, "me");
  EXPECT_EQ(proxy->password, "p@ss");
  EXPECT_FALSE(ParseProxy("ftp://proxy.test").ok());
}

}  // namespace
}  // namespace picket
