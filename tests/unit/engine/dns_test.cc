// Names to addresses, by the transfer's own eyes: reasons, families, the hosts file,
// and names that need no packet.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/dns_address.h"
#include "agent/engine/dns_answer.h"
#include "agent/engine/dns_hosts.h"
#include "agent/engine/limits.h"
#include "common/base/check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/scripted_dns.h"
#include "tests/support/scripted_server.h"
#include "tests/unit/engine/transfer_test_util.h"

namespace picket {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class DnsTest : public testing::Test {
 protected:
  DnsTest() : server_(ScriptedServer::Start()), runner_({.dns_servers = {dns_.address()}}) {}

  TransferRequest To(const std::string& name, absl::Duration timeout = absl::Seconds(5)) {
    return Get(absl::StrCat("http://", name, ":", server_->port(), "/ok"), timeout);
  }

  ScriptedDns dns_;
  std::unique_ptr<ScriptedServer> server_;
  TransferRunner runner_;
};

TEST_F(DnsTest, ANameIsFoundAndTimed) {
  const TransferResult result = runner_.Run(To("ok.test"));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.address, "127.0.0.1");
  EXPECT_TRUE(result.times.dns.has_value());
  EXPECT_THAT(dns_.questions(), testing::UnorderedElementsAre("ok.test/28", "ok.test/1"));
}

TEST_F(DnsTest, NothingIsRememberedAcrossTransfers) {
  runner_.Run(To("ok.test"));
  runner_.Run(To("ok.test"));
  EXPECT_EQ(dns_.questions().size(), 4u);
}

struct DnsCase {
  const char* name;
  const char* reason;
};

class DnsReasonTest : public DnsTest, public testing::WithParamInterface<DnsCase> {};

TEST_P(DnsReasonTest, IsTold) {
  v1::FailureReason::Value expected;
  ASSERT_TRUE(v1::FailureReason::Value_Parse(GetParam().reason, &expected));
  const TransferResult result = runner_.RunUntil(To(GetParam().name, absl::Milliseconds(500)),
                                                 expected, absl::Milliseconds(100));
  EXPECT_EQ(Name(result.reason), GetParam().reason) << result.message;
  EXPECT_FALSE(result.inconclusive);
  EXPECT_LE(runner_.took(), absl::Milliseconds(600));
}

const DnsCase kDnsCases[] = {
    {"missing.test", "dns_not_found"},
    {"nothing.test", "dns_no_address"},
    {"servfail.test", "dns_server_failure"},
    {"refused.test", "dns_server_failure"},
    {"silent.test", "dns_timeout"},
    {"short.test", "dns_server_failure"},
    {"wrong-size.test", "dns_server_failure"},
    {"pointer-loop.test", "dns_server_failure"},
    {"circle.test", "dns_server_failure"},
    {"dangling.test", "dns_no_address"},
    {"liar.test", "dns_no_address"},
    {"cut.test", "dns_server_failure"},
    {"alias.test", "none"},
    {"half.test", "none"},
};

INSTANTIATE_TEST_SUITE_P(Names, DnsReasonTest, testing::ValuesIn(kDnsCases), [](const auto& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    if (!isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
});

TEST_F(DnsTest, TheWantedFamilyAloneIsAskedFor) {
  TransferRequest request = To("both.test");
  request.ip_version = v1::HttpCheck::IPV4;
  EXPECT_EQ(runner_.Run(request).address, "127.0.0.1");
  EXPECT_THAT(dns_.questions(), ElementsAre("both.test/1"));
  request = To("six.test");
  request.ip_version = v1::HttpCheck::IPV4;
  EXPECT_EQ(Name(runner_.Run(request).reason), "dns_no_address");
}

TEST_F(DnsTest, ARefusedFirstFamilyGivesWayToTheOther) {
  // Nobody listens on ::1 at this port.
  const TransferResult result = runner_.Run(To("both.test"));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.address, "127.0.0.1");
  EXPECT_THAT(result.addresses_tried, ElementsAre("::1", "127.0.0.1"));
  EXPECT_THAT(result.warnings, IsEmpty());
}

TEST_F(DnsTest, ABlackHoleBesideAGoodAddressIsAWarning) {
  const BlackHole hole(true, server_->port());
  const TransferResult result = runner_.Run(To("both.test"));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.address, "127.0.0.1");
  EXPECT_THAT(result.addresses_tried, ElementsAre("::1", "127.0.0.1"));
  EXPECT_THAT(result.warnings, ElementsAre("address_unreachable ::1"));
  EXPECT_LT(runner_.took(), absl::Seconds(2));
}

TEST_F(DnsTest, LiteralsAndLocalhostNeedNoPacket) {
  EXPECT_EQ(Name(runner_.Run(To("localhost")).reason), "none");
  EXPECT_EQ(Name(runner_.Run(To("a.localhost")).reason), "none");
  const TransferResult literal = runner_.Run(To("127.0.0.1"));
  EXPECT_EQ(Name(literal.reason), "none");
  EXPECT_FALSE(literal.times.dns.has_value());
  EXPECT_EQ(Name(runner_.Run(To("127.1")).reason), "none");
  EXPECT_THAT(dns_.questions(), IsEmpty());
}

TEST_F(DnsTest, ALiteralOfTheOtherFamilyIsNoAddress) {
  TransferRequest request = To("127.0.0.1");
  request.ip_version = v1::HttpCheck::IPV6;
  EXPECT_EQ(Name(runner_.Run(request).reason), "dns_no_address");
}

TEST_F(DnsTest, ResolveToTheOtherFamilyIsNoAddress) {
  TransferRequest request = To("missing.test");
  request.resolve["missing.test"] = "127.0.0.1";
  request.ip_version = v1::HttpCheck::IPV6;
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "dns_no_address");
  EXPECT_EQ(result.message,
            "resolve maps missing.test to 127.0.0.1, which is not an IPv6 address, as ip_version "
            "wants.");
  EXPECT_THAT(dns_.questions(), IsEmpty());
  request.ip_version = v1::HttpCheck::IPV4;
  EXPECT_EQ(Name(runner_.Run(request).reason), "none");
}

TEST_F(DnsTest, ResolveOverridesDns) {
  TransferRequest request = To("missing.test");
  request.resolve["missing.test"] = "127.0.0.1";
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_THAT(result.request_head, testing::HasSubstr("Host: missing.test:"));
  EXPECT_THAT(dns_.questions(), IsEmpty());
  request.resolve["missing.test"] = "not an address";
  EXPECT_EQ(Name(runner_.Run(request).reason), "request_invalid");
}

TEST_F(DnsTest, TheHostsFileGoesBeforeDns) {
  const std::string path = absl::StrCat(testing::TempDir(), "/picket_hosts_", getpid());
  std::ofstream(path) << "127.0.0.1 Named.Test other # comment\n";
  TransferRunner runner({.dns_servers = {dns_.address()}, .hosts_file = path});
  const TransferResult result = runner.Run(To("named.test"));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_TRUE(result.times.dns.has_value());
  EXPECT_THAT(dns_.questions(), IsEmpty());
  std::remove(path.c_str());
}

TEST_F(DnsTest, AServerThatIsNotThereIsAServerFailureOrSilence) {
  TransferRunner runner({.dns_servers = {absl::StrCat("127.0.0.1:", UnusedPort())}});
  const TransferResult result = runner.Run(To("ok.test", absl::Milliseconds(500)));
  EXPECT_THAT(Name(result.reason), testing::AnyOf("dns_server_failure", "dns_timeout"));
  EXPECT_LE(runner.took(), absl::Milliseconds(600));
}

TEST_F(DnsTest, NoFileLeftToAskWithIsOurFault) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer for undefined behaviour needs files of its own";
#endif
  const TransferResult result = runner_.RunWithoutFiles(To("ok.test"));
  EXPECT_EQ(Name(result.reason), "agent_resources") << result.message;
  EXPECT_TRUE(result.inconclusive);
  EXPECT_THAT(result.message, testing::HasSubstr("no socket"));
  EXPECT_EQ(Name(runner_.Run(To("ok.test")).reason), "none");
  EXPECT_EQ(Name(runner_.Run(To("refused.test")).reason), "dns_server_failure");
}

TEST_F(DnsTest, ManyNamesAtOnceAreAllAnswered) {
  std::vector<TransferRequest> requests;
  for (int i = 0; i < 100; ++i) requests.push_back(To(i % 2 == 0 ? "ok.test" : "missing.test"));
  const auto results = runner_.RunAll(std::move(requests));
  for (size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(Name(results[i].reason), i % 2 == 0 ? "none" : "dns_not_found") << results[i].message;
  }
}

// At the address of a DNS server: accepts by TCP, and closes.
class ClosesAtOnce {
 public:
  explicit ClosesAtOnce(const std::string& address) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int port = 0;
    PICKET_CHECK(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
    at.sin_port = htons(static_cast<uint16_t>(port));
    PICKET_CHECK(bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0);
    PICKET_CHECK(listen(fd_, 100) == 0);
    thread_ = std::thread([this] {
      for (int fd = 0; (fd = accept(fd_, nullptr, nullptr)) >= 0;) close(fd);
    });
  }
  ~ClosesAtOnce() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }

 private:
  const int fd_;
  std::thread thread_;
};

TEST_F(DnsTest, ANameThatNeedsTcpDisturbsNoOther) {
  const ClosesAtOnce tcp(dns_.address());
  std::vector<TransferRequest> requests;
  requests.push_back(To("silent.test", absl::Milliseconds(700)));
  for (int i = 0; i < 10; ++i) requests.push_back(To("cut.test"));
  const auto results = runner_.RunAll(std::move(requests));
  EXPECT_EQ(Name(results[0].reason), "dns_timeout") << results[0].message;
  for (size_t i = 1; i < results.size(); ++i) {
    EXPECT_EQ(Name(results[i].reason), "dns_server_failure") << results[i].message;
  }
  // Its first try is not over yet.
  const std::vector<std::string> asked = dns_.questions();
  EXPECT_EQ(std::count(asked.begin(), asked.end(), "silent.test/1"), 1);
}

TEST_F(DnsTest, QuestionsByTcpAreBounded) {
  const size_t most = DefaultEngineLimits().dns_tcp_questions;
  const auto run = [this](size_t count) {
    std::vector<TransferRequest> requests;
    for (size_t i = 0; i < count; ++i) requests.push_back(To("cut.test"));
    size_t own_fault = 0;
    for (const TransferResult& result : runner_.RunAll(std::move(requests))) {
      own_fault += result.reason == v1::FailureReason::agent_resources;
    }
    return own_fault;
  };
  EXPECT_EQ(run(most / 4), 0u);
  EXPECT_GT(run(most * 4), 0u);
  EXPECT_EQ(run(1), 0u);
}

TEST(DnsServersTest, MustBeAddresses) {
  auto loop = TransferLoop::Start({.dns_servers = {"not an address"}});
  EXPECT_EQ(loop.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DnsAddressTest, IsReadAndWritten) {
  EXPECT_EQ(IpText(*ParseIp("::FFFF")), "::ffff");
  EXPECT_EQ(IpPortText(*ParseIp("[2001:db8::1]"), 80), "[2001:db8::1]:80");
  EXPECT_EQ(IpPortText(*ParseIp("192.0.2.1"), 80), "192.0.2.1:80");
  EXPECT_FALSE(ParseIp("example.com").has_value());
  EXPECT_FALSE(ParseIp("1.2.3.4.5").has_value());
  EXPECT_FALSE(ParseIp("").has_value());
  EXPECT_FALSE(ParseIp("[1.2.3.4]").has_value());
}

TEST(DnsAddressTest, FamiliesTakeTurns) {
  std::vector<std::string> texts;
  for (const IpAddress& address : Interleave({*ParseIp("1.1.1.1"), *ParseIp("1.1.1.2"),
                                              *ParseIp("::1"), *ParseIp("::2"), *ParseIp("::3")})) {
    texts.push_back(IpText(address));
  }
  EXPECT_THAT(texts, ElementsAre("::1", "1.1.1.1", "::2", "1.1.1.2", "::3"));
}

TEST(DnsAnswerTest, RubbishIsAServerFailure) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_TRUE(ParseDnsAnswer(bytes, false).addresses.empty());
    bytes.push_back(static_cast<char>(i * 37));
  }
  EXPECT_EQ(ParseDnsAnswer("", true).reason, v1::FailureReason::dns_server_failure);
}

}  // namespace
}  // namespace picket
