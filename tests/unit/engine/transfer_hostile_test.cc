// Every hostile HTTP/1 behaviour: the right reason, in time, with bounded memory.

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/scripted_server.h"
#include "tests/unit/engine/transfer_test_util.h"

namespace picket {
namespace {

using Reason = v1::FailureReason;

struct HostileCase {
  const char* path;
  Reason::Value reason;
};

constexpr absl::Duration kTimeout = absl::Milliseconds(400);
// What the machine may add when it is busy with other tests.
constexpr absl::Duration kGrace = absl::Milliseconds(100);

const HostileCase kCases[] = {
    {"/ok", Reason::none},
    {"/empty", Reason::none},
    {"/until-close", Reason::none},
    {"/chunked", Reason::none},
    {"/gzip", Reason::none},
    {"/gzip-two-members", Reason::none},
    {"/interim", Reason::none},
    {"/equal-lengths", Reason::none},
    {"/redirect-loop", Reason::none},
    {"/redirect-ftp", Reason::none},
    {"/redirect-none", Reason::none},
    {"/silence", Reason::timeout_first_byte},
    {"/drip-header", Reason::timeout_first_byte},
    {"/drip-body", Reason::timeout_transfer},
    {"/stuck-in-header", Reason::timeout_transfer},
    {"/stuck-in-body", Reason::timeout_transfer},
    {"/stuck-in-chunk", Reason::timeout_transfer},
    {"/until-never", Reason::timeout_transfer},
    {"/endless-body", Reason::body_too_large},
    {"/endless-chunks", Reason::body_too_large},
    {"/endless-headers", Reason::headers_too_large},
    {"/header-flood", Reason::headers_too_large},
    {"/endless-header-line", Reason::headers_too_large},
    {"/interim-flood", Reason::headers_too_large},
    {"/trailer-flood", Reason::headers_too_large},
    {"/endless-chunk-extension", Reason::protocol_error},
    {"/gzip-bomb", Reason::body_too_large},
    {"/gzip-gzip-bomb", Reason::body_too_large},
    {"/rst-after-request", Reason::connect_reset},
    {"/rst-in-header", Reason::protocol_error},
    {"/rst-in-body", Reason::protocol_error},
    {"/close-after-request", Reason::connect_reset},
    {"/close-after-status-line", Reason::protocol_error},
    {"/close-in-header", Reason::protocol_error},
    {"/close-before-blank-line", Reason::protocol_error},
    {"/half-close", Reason::connect_reset},
    {"/length-too-long", Reason::protocol_error},
    {"/chunk-cut", Reason::protocol_error},
    {"/chunk-no-last", Reason::protocol_error},
    {"/chunk-no-end", Reason::protocol_error},
    {"/gzip-cut", Reason::protocol_error},
    {"/gzip-no-trailer", Reason::protocol_error},
    {"/length-too-short", Reason::protocol_error},
    {"/length-too-short-later", Reason::protocol_error},
    {"/body-after-204", Reason::protocol_error},
    {"/two-answers", Reason::protocol_error},
    {"/two-lengths", Reason::protocol_error},
    {"/length-list", Reason::protocol_error},
    {"/negative-length", Reason::protocol_error},
    {"/huge-length", Reason::protocol_error},
    {"/words-for-length", Reason::protocol_error},
    {"/length-and-chunked", Reason::protocol_error},
    {"/chunked-twice", Reason::protocol_error},
    {"/unknown-transfer-coding", Reason::protocol_error},
    {"/chunked-1.0", Reason::protocol_error},
    {"/bad-chunk-size", Reason::protocol_error},
    {"/huge-chunk-size", Reason::protocol_error},
    {"/chunk-longer-than-said", Reason::protocol_error},
    {"/bytes-after-chunks", Reason::protocol_error},
    {"/gzip-corrupt", Reason::decode_error},
    {"/gzip-and-rubbish", Reason::decode_error},
    {"/unknown-coding", Reason::decode_error},
    {"/coded-five-times", Reason::decode_error},
    {"/garbage", Reason::protocol_error},
    {"/garbage-before", Reason::protocol_error},
    {"/http-0.9", Reason::protocol_error},
    {"/http-7.3", Reason::protocol_error},
    {"/status-of-words", Reason::protocol_error},
    {"/status-of-two-digits", Reason::protocol_error},
    {"/status-of-five-digits", Reason::protocol_error},
    {"/header-without-colon", Reason::protocol_error},
    {"/header-space-colon", Reason::protocol_error},
    {"/header-without-name", Reason::protocol_error},
    {"/nul-in-header", Reason::protocol_error},
    {"/switching-protocols", Reason::protocol_error},
};

class TransferHostileTest : public testing::TestWithParam<HostileCase> {};

void ExpectCase(const HostileCase& expected, const TransferResult& result) {
  EXPECT_EQ(Name(result.reason), Name(expected.reason)) << expected.path << ": " << result.message;
  EXPECT_EQ(result.message.empty(), expected.reason == Reason::none) << result.message;
  EXPECT_FALSE(result.inconclusive) << result.message;
  EXPECT_LE(result.body.size(), size_t{1} << 20) << expected.path;
  if (!result.message.empty()) {
    EXPECT_THAT(result.message, testing::HasSubstr("127.0.0.1:"));
  }
}

TEST_P(TransferHostileTest, EndsWithTheRightReasonInTime) {
  auto server = ScriptedServer::Start();
  TransferRunner runner;
  TransferRequest request = Get(server->Url(GetParam().path), kTimeout);
  request.compressed = true;
  const TransferResult result = runner.RunUntil(request, GetParam().reason, kGrace);
  ExpectCase(GetParam(), result);
  EXPECT_LE(runner.took(), kTimeout + kGrace);
}

TEST_P(TransferHostileTest, IsJudgedTheSameOverTls) {
  static const TestIdentity* const identity = new TestIdentity(MakeTestCertificate({}));
  ScriptedServer::Options options;
  options.identity = identity;
  auto server = ScriptedServer::Start(options);
  TransferRunner runner;
  TransferRequest request = Get(server->Url(GetParam().path), kTimeout);
  request.compressed = true;
  request.tls.ca = std::make_shared<const std::string>(identity->certificate);
  const TransferResult result = runner.RunUntil(request, GetParam().reason, kGrace);
  ExpectCase(GetParam(), result);
  EXPECT_EQ(result.certificates.size(), 1u);
}

std::string CaseName(const testing::TestParamInfo<HostileCase>& info) {
  std::string name = info.param.path + 1;
  for (char& c : name) {
    if (!isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Behaviours, TransferHostileTest, testing::ValuesIn(kCases), CaseName);

TEST(TransferHostileTogetherTest, PartOfAStatusLineIsACutResponse) {
  auto server = ScriptedServer::Start();
  TransferRunner runner;
  const TransferResult result = runner.Run(Get(server->Url("/close-in-status-line")));
  EXPECT_EQ(Name(result.reason), "protocol_error") << result.message;
}

// Before a byte of the request is read.
TEST(TransferHostileTogetherTest, WhatHappensAtAcceptHasItsReason) {
  const std::pair<ScriptedBehaviour, const char*> cases[] = {
      {[](ScriptedConnection& c, const std::string&) { c.Reset(); }, "connect_reset"},
      {[](ScriptedConnection&, const std::string&) {}, "connect_reset"},
      {[](ScriptedConnection& c, const std::string&) { c.Pause(absl::Seconds(60)); },
       "timeout_first_byte"},
      {[](ScriptedConnection& c, const std::string&) { c.Write("220 mail.example ESMTP\r\n"); },
       "protocol_error"},
  };
  for (const auto& [behaviour, reason] : cases) {
    ScriptedServer::Options options;
    options.on_accept = behaviour;
    auto server = ScriptedServer::Start(options);
    TransferRunner runner;
    v1::FailureReason::Value expected;
    ASSERT_TRUE(v1::FailureReason::Value_Parse(reason, &expected));
    const TransferResult result =
        runner.RunUntil(Get(server->Url("/ok"), kTimeout), expected, kGrace);
    EXPECT_EQ(Name(result.reason), reason) << result.message;
    EXPECT_LE(runner.took(), kTimeout + kGrace);
  }
}

// Bytes of memory that this process has at most had since the last call.
size_t TakePeakMemory() {
  size_t peak = 0;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) peak = std::stoul(line.substr(6)) << 10;
  }
  std::ofstream("/proc/self/clear_refs") << 5;
  return peak;
}

TEST(TransferHostileTogetherTest, FloodsTakeNoMoreThanTheirBodyLimits) {
  auto server = ScriptedServer::Start();
  TransferRunner runner;
  constexpr int kCopies = 8;
  std::vector<TransferRequest> requests;
  size_t bodies = 0;
  for (const HostileCase& hostile : kCases) {
    if (hostile.reason != Reason::body_too_large && hostile.reason != Reason::headers_too_large) {
      continue;
    }
    for (int i = 0; i < kCopies; ++i) {
      requests.push_back(Get(server->Url(hostile.path), absl::Seconds(20)));
      requests.back().compressed = true;
      bodies += requests.back().body_limit;
    }
  }
  ASSERT_GE(requests.size(), 8u * kCopies);
  runner.Run(Get(server->Url("/gzip-gzip-bomb")));  // the server makes its bombs
  TakePeakMemory();
  const size_t before = TakePeakMemory();
  for (const TransferResult& result : runner.RunAll(std::move(requests))) {
    EXPECT_NE(result.reason, Reason::none);
  }
  // The server's threads live here too; sanitizers keep what was freed, and the one for threads
  // keeps a history of every byte beside it.
#if !defined(__SANITIZE_THREAD__)
  EXPECT_LE(TakePeakMemory() - before, 3 * bodies + (64u << 20));
#endif
}

TEST(TransferHostileTogetherTest, OthersAreUndisturbed) {
  auto server = ScriptedServer::Start();
  TransferRunner runner;
  std::vector<TransferRequest> requests;
  constexpr absl::Duration kTogether = absl::Seconds(3);
  for (const HostileCase& hostile : kCases) {
    requests.push_back(Get(server->Url(hostile.path), kTogether));
    requests.back().compressed = true;
    requests.push_back(Get(server->Url("/ok"), kTogether));
  }
  const std::vector<TransferResult> results = runner.RunAll(std::move(requests));
  for (size_t i = 0; i < results.size(); i += 2) {
    EXPECT_EQ(Name(results[i].reason), Name(kCases[i / 2].reason))
        << kCases[i / 2].path << ": " << results[i].message;
    EXPECT_EQ(results[i + 1].body, "hello") << results[i + 1].message;
  }
}

}  // namespace
}  // namespace picket
