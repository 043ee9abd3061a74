// HTTP/2, forced and negotiated, and servers that misuse it frame by frame.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/scripted_http2.h"
#include "tests/support/scripted_server.h"
#include "tests/unit/engine/transfer_test_util.h"

namespace picket {
namespace {

using Connection = ScriptedConnection;

const char kStatus200[] = "\x88";  // indexed field 8 (RFC 7541, appendix A)

std::string Answer(uint32_t stream, absl::string_view body) {
  return absl::StrCat(Http2Frame(kHttp2Headers, kHttp2EndHeaders, stream, kStatus200),
                      Http2Frame(kHttp2Data, kHttp2EndStream, stream, body));
}

// Reads a request, sends what `frames` makes of its stream, and waits for the client.
ScriptedBehaviour AfterRequest(std::function<std::string(uint32_t)> frames) {
  return [frames = std::move(frames)](Connection& c, const std::string&) {
    const uint32_t stream = Http2ReadRequest(c);
    if (stream == 0) return;
    c.Write(frames(stream));
    c.ReadBytes(1 << 30);
  };
}

ScriptedBehaviour Flood(std::function<std::string(uint32_t)> first, std::string again) {
  return [first = std::move(first), again = std::move(again)](Connection& c, const std::string&) {
    const uint32_t stream = Http2ReadRequest(c);
    if (stream == 0) return;
    c.Write(first(stream));
    c.WriteRepeatedly(again, 10'000'000);
  };
}

std::string Nothing(uint32_t) { return ""; }

struct Http2Case {
  const char* name;
  ScriptedBehaviour behaviour;
  // Any of these is right: some depend on which of two facts is seen first.
  std::vector<std::string> reasons;
};

const Http2Case kCases[] = {
    {"Answer", AfterRequest([](uint32_t s) { return Answer(s, "hello"); }), {"none"}},
    {"Goaway",
     AfterRequest([](uint32_t) {
       return Http2Frame(kHttp2Goaway, 0, 0, Http2Number32(0) + Http2Number32(0));
     }),
     {"protocol_error"}},
    {"GoawayWithError",
     AfterRequest([](uint32_t) {
       return Http2Frame(kHttp2Goaway, 0, 0, Http2Number32(0) + Http2Number32(2));
     }),
     {"protocol_error"}},
    {"RstStream",
     AfterRequest([](uint32_t s) { return Http2Frame(kHttp2RstStream, 0, s, Http2Number32(2)); }),
     {"protocol_error"}},
    {"RefusedStream",
     AfterRequest([](uint32_t s) { return Http2Frame(kHttp2RstStream, 0, s, Http2Number32(7)); }),
     {"protocol_error"}},
    {"RstStreamInBody",
     AfterRequest([](uint32_t s) {
       return absl::StrCat(Http2Frame(kHttp2Headers, kHttp2EndHeaders, s, kStatus200),
                           Http2Frame(kHttp2Data, 0, s, "hel"),
                           Http2Frame(kHttp2RstStream, 0, s, Http2Number32(2)));
     }),
     {"protocol_error"}},
    {"Close",
     [](Connection& c, const std::string&) { Http2ReadRequest(c); },
     {"connect_reset", "protocol_error"}},
    {"CloseInBody",
     [](Connection& c, const std::string&) {
       const uint32_t s = Http2ReadRequest(c);
       c.Write(Http2Frame(kHttp2Headers, kHttp2EndHeaders, s, kStatus200));
       c.Write(Http2Frame(kHttp2Data, 0, s, "hel"));
     },
     {"protocol_error"}},
    {"Silence", AfterRequest(Nothing), {"timeout_first_byte"}},
    {"StuckInBody",
     AfterRequest([](uint32_t s) {
       return absl::StrCat(Http2Frame(kHttp2Headers, kHttp2EndHeaders, s, kStatus200),
                           Http2Frame(kHttp2Data, 0, s, "hel"));
     }),
     {"timeout_transfer"}},
    {"NotHttp2",
     [](Connection& c, const std::string&) {
       c.ReadBytes(24);
       c.Write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
       c.ReadBytes(1 << 30);
     },
     {"protocol_error"}},
    {"FrameTooLarge",
     AfterRequest(
         [](uint32_t s) { return Http2Frame(kHttp2Data, 0, s, std::string(1 << 20, 'x')); }),
     {"protocol_error"}},
    {"SettingsOfOddSize",
     AfterRequest([](uint32_t) { return Http2Frame(kHttp2Settings, 0, 0, "12345"); }),
     {"protocol_error"}},
    {"DataBeforeHeaders",
     AfterRequest([](uint32_t s) { return Http2Frame(kHttp2Data, kHttp2EndStream, s, "hello"); }),
     {"protocol_error"}},
    {"HeadersWithoutStatus",
     AfterRequest([](uint32_t s) {
       return Http2Frame(kHttp2Headers, kHttp2EndHeaders | kHttp2EndStream, s,
                         Http2Field("a", "b"));
     }),
     {"protocol_error"}},
    {"UpperCaseField",
     AfterRequest([](uint32_t s) {
       return Http2Frame(kHttp2Headers, kHttp2EndHeaders | kHttp2EndStream, s,
                         absl::StrCat(kStatus200, Http2Field("Bad", "b")));
     }),
     {"protocol_error"}},
    {"BadCompression",
     AfterRequest([](uint32_t s) {
       return Http2Frame(kHttp2Headers, kHttp2EndHeaders | kHttp2EndStream, s,
                         "\xff\xff\xff\xff\xff");
     }),
     {"protocol_error"}},
    {"LessThanContentLength",
     AfterRequest([](uint32_t s) {
       return absl::StrCat(Http2Frame(kHttp2Headers, kHttp2EndHeaders, s,
                                      absl::StrCat(kStatus200, Http2Field("content-length", "10"))),
                           Http2Frame(kHttp2Data, kHttp2EndStream, s, "hello"));
     }),
     {"protocol_error"}},
    {"MoreThanContentLength",
     AfterRequest([](uint32_t s) {
       return absl::StrCat(Http2Frame(kHttp2Headers, kHttp2EndHeaders, s,
                                      absl::StrCat(kStatus200, Http2Field("content-length", "3"))),
                           Http2Frame(kHttp2Data, kHttp2EndStream, s, "hello"));
     }),
     {"protocol_error"}},
    {"PushPromise",
     AfterRequest([](uint32_t s) {
       return Http2Frame(kHttp2PushPromise, kHttp2EndHeaders, s, Http2Number32(2) + kStatus200);
     }),
     {"protocol_error"}},
    {"PingFlood",
     Flood(Nothing, Http2Frame(kHttp2Ping, 0, 0, "12345678")),
     {"protocol_error", "timeout_first_byte"}},
    {"SettingsFlood",
     Flood(Nothing, Http2Frame(kHttp2Settings, 0, 0, "")),
     {"protocol_error", "timeout_first_byte"}},
    {"EmptyDataFlood",
     [](Connection& c, const std::string&) {
       const uint32_t s = Http2ReadRequest(c);
       c.Write(Http2Frame(kHttp2Headers, kHttp2EndHeaders, s, kStatus200));
       c.WriteRepeatedly(Http2Frame(kHttp2Data, 0, s, ""), 10'000'000);
     },
     {"timeout_transfer", "protocol_error"}},
    {"ContinuationFlood",
     [](Connection& c, const std::string&) {
       const uint32_t s = Http2ReadRequest(c);
       c.Write(Http2Frame(kHttp2Headers, 0, s, kStatus200));
       c.WriteRepeatedly(
           Http2Frame(kHttp2Continuation, 0, s, Http2Field("a", std::string(100, 'b'))),
           10'000'000);
     },
     {"headers_too_large", "protocol_error"}},
    {"EndlessBody",
     [](Connection& c, const std::string&) {
       const uint32_t s = Http2ReadRequest(c);
       c.Write(Http2Frame(kHttp2Headers, kHttp2EndHeaders, s, kStatus200));
       c.WriteRepeatedly(Http2Frame(kHttp2Data, 0, s, std::string(16384, 'x')), 100'000);
     },
     {"body_too_large"}},
};

class TransferHttp2Test : public testing::TestWithParam<Http2Case> {};

TEST_P(TransferHttp2Test, EndsWithTheRightReasonInTime) {
  auto server = ScriptedServer::Start({.on_connect = GetParam().behaviour});
  TransferRunner runner;
  TransferRequest request = Get(server->Url("/"), absl::Milliseconds(500));
  request.http_version = v1::HttpCheck::HTTP_2;
  v1::FailureReason::Value expected;
  ASSERT_TRUE(v1::FailureReason::Value_Parse(GetParam().reasons[0], &expected));
  const TransferResult result = runner.RunUntil(request, expected, absl::Milliseconds(100));
  EXPECT_THAT(GetParam().reasons, testing::Contains(Name(result.reason))) << result.message;
  EXPECT_FALSE(result.inconclusive);
  // One connection a try: a refused request is not made again behind the test's back.
  EXPECT_LE(server->connections(), 5);
}

INSTANTIATE_TEST_SUITE_P(Frames, TransferHttp2Test, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

class TransferHttp2TlsTest : public testing::Test {
 protected:
  TransferHttp2TlsTest() : identity_(MakeTestCertificate({})) {}

  TransferRequest To(const ScriptedServer& server) {
    TransferRequest request = Get(server.Url("/ok"), absl::Seconds(5));
    request.tls.ca = std::make_shared<const std::string>(identity_.certificate);
    return request;
  }

  static void Serve(Connection& c, const std::string&) {
    uint32_t stream = Http2ReadRequest(c);
    while (stream != 0) {
      c.Write(Answer(stream, "hello"));
      stream = Http2ReadRequest(c, false);
    }
  }

  const TestIdentity identity_;
  TransferRunner runner_;
};

TEST_F(TransferHttp2TlsTest, IsNegotiatedWhereTheServerSpeaksIt) {
  auto server =
      ScriptedServer::Start({.identity = &identity_, .alpn = {"h2"}, .on_connect = Serve});
  const TransferResult result = runner_.Run(To(*server));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.http_version, "2");
  EXPECT_EQ(result.status, 200);
  EXPECT_EQ(result.body, "hello");
}

TEST_F(TransferHttp2TlsTest, IsNotUsedWhereTheServerDoesNot) {
  auto server = ScriptedServer::Start({.identity = &identity_, .alpn = {"http/1.1"}});
  const TransferResult result = runner_.Run(To(*server));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.http_version, "1.1");
}

TEST_F(TransferHttp2TlsTest, IsNotOfferedWhenHttp11IsWanted) {
  auto server = ScriptedServer::Start({.identity = &identity_, .alpn = {"h2", "http/1.1"}});
  TransferRequest request = To(*server);
  request.http_version = v1::HttpCheck::HTTP_1_1;
  EXPECT_EQ(runner_.Run(request).http_version, "1.1");
}

TEST_F(TransferHttp2TlsTest, IsRequiredWhenWanted) {
  auto server = ScriptedServer::Start({.identity = &identity_});
  TransferRequest request = To(*server);
  request.http_version = v1::HttpCheck::HTTP_2;
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "protocol_error");
  EXPECT_THAT(result.message, testing::HasSubstr("HTTP/2"));
}

TEST_F(TransferHttp2TlsTest, OneConnectionServesTheStepsOfASession) {
  auto server =
      ScriptedServer::Start({.identity = &identity_, .alpn = {"h2"}, .on_connect = Serve});
  TransferRequest request = To(*server);
  request.more_follow = true;
  EXPECT_FALSE(runner_.Run(request).reused);
  EXPECT_TRUE(runner_.RunAgain(request).reused);
  EXPECT_TRUE(runner_.RunAgain(request).reused);
  EXPECT_EQ(server->connections(), 1);
  EXPECT_FALSE(runner_.Run(request).reused);
  EXPECT_EQ(server->connections(), 2);
}

}  // namespace
}  // namespace picket
