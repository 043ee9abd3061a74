// TLS as the transfer sees it: whom to trust, which reason a refusal has, and that the
// certificates are known even when the handshake fails.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "openssl/ssl.h"
#include "tests/support/scripted_server.h"
#include "tests/support/test_pki.h"
#include "tests/unit/engine/transfer_test_util.h"

namespace picket {
namespace {

using testing::HasSubstr;

std::shared_ptr<const std::string> Shared(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

class TlsTest : public testing::Test {
 protected:
  TlsTest() {
    ca_ = MakeTestCertificate({.common_name = "picket test root", .is_ca = true});
    good_ = MakeTestCertificate({}, &ca_);
  }

  std::unique_ptr<ScriptedServer> Serve(const TestIdentity& identity) {
    return ScriptedServer::Start({.identity = &identity});
  }

  TransferRequest Trusting(const ScriptedServer& server) {
    TransferRequest request = Get(server.Url("/ok"), absl::Seconds(5));
    request.tls.ca = Shared(ca_.certificate);
    return request;
  }

  TestIdentity ca_, good_;
  TransferRunner runner_;
};

TEST_F(TlsTest, ATrustedServerIsTalkedTo) {
  auto server = Serve(good_);
  const TransferResult result = runner_.Run(Trusting(*server));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.body, "hello");
  EXPECT_EQ(result.tls_version, "TLSv1.3");
  EXPECT_THAT(result.tls_cipher, HasSubstr("TLS_"));
  ASSERT_EQ(result.certificates.size(), 1u);
  EXPECT_THAT(result.certificates[0].subject(), HasSubstr("CN=picket test"));
  EXPECT_THAT(result.certificates[0].issuer(), HasSubstr("CN=picket test root"));
  EXPECT_THAT(result.certificates[0].subject_alternative_names(),
              testing::ElementsAre("localhost", "127.0.0.1"));
  EXPECT_EQ(result.certificates[0].fingerprint().size(), 64u);
  EXPECT_TRUE(result.times.tls.has_value());
}

TEST_F(TlsTest, AnUnknownRootIsUntrusted) {
  auto server = Serve(good_);
  TransferRequest request = Get(server->Url("/ok"));
  request.tls.ca = Shared(MakeTestCertificate({.common_name = "other", .is_ca = true}).certificate);
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "tls_untrusted") << result.message;
  ASSERT_EQ(result.certificates.size(), 1u);
  EXPECT_FALSE(result.times.tls.has_value());
  EXPECT_TRUE(result.times.connect.has_value());
}

TEST_F(TlsTest, TheSystemsRootsDoNotTrustATestServer) {
  auto server = Serve(good_);
  EXPECT_EQ(Name(runner_.Run(Get(server->Url("/ok"))).reason), "tls_untrusted");
}

TEST_F(TlsTest, ASelfSignedCertificateIsToldApart) {
  const TestIdentity self = MakeTestCertificate({});
  auto server = Serve(self);
  const TransferResult result = runner_.Run(Trusting(*server));
  EXPECT_EQ(Name(result.reason), "tls_untrusted");
  EXPECT_THAT(result.message, HasSubstr("self-signed"));
}

TEST_F(TlsTest, AnExpiredCertificateIsExpired) {
  const TestIdentity old =
      MakeTestCertificate({.valid_from = -absl::Hours(48), .valid_for = absl::Hours(24)}, &ca_);
  auto server = Serve(old);
  const TransferResult result = runner_.Run(Trusting(*server));
  EXPECT_EQ(Name(result.reason), "tls_expired") << result.message;
  EXPECT_THAT(result.message, HasSubstr("expired on"));
  EXPECT_EQ(result.certificates.size(), 1u);
}

TEST_F(TlsTest, ACertificateOfTomorrowIsNotValidYet) {
  const TestIdentity early = MakeTestCertificate({.valid_from = absl::Hours(24)}, &ca_);
  auto server = Serve(early);
  const TransferResult result = runner_.Run(Trusting(*server));
  EXPECT_EQ(Name(result.reason), "tls_expired") << result.message;
  EXPECT_THAT(result.message, HasSubstr("not valid before"));
}

TEST_F(TlsTest, ACertificateForAnotherNameIsTheWrongHost) {
  const TestIdentity other = MakeTestCertificate({.names = {"other.example"}}, &ca_);
  auto server = Serve(other);
  const TransferResult result = runner_.Run(Trusting(*server));
  EXPECT_EQ(Name(result.reason), "tls_wrong_host") << result.message;
  EXPECT_THAT(result.message, HasSubstr("other.example"));
}

TEST_F(TlsTest, ServerNameChangesWhoIsExpected) {
  const TestIdentity other = MakeTestCertificate({.names = {"other.example"}}, &ca_);
  auto server = Serve(other);
  TransferRequest request = Trusting(*server);
  request.tls.server_name = "other.example";
  EXPECT_EQ(Name(runner_.Run(request).reason), "none");
}

TEST_F(TlsTest, WithoutVerificationEverythingPassesAndIsStillDescribed) {
  const TestIdentity old = MakeTestCertificate(
      {.names = {"other.example"}, .valid_from = -absl::Hours(48), .valid_for = absl::Hours(24)});
  auto server = Serve(old);
  TransferRequest request = Get(server->Url("/ok"));
  request.tls.verify = false;
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.certificates.size(), 1u);
}

TEST_F(TlsTest, AnOldServerIsAProtocolFailureUnlessItIsAllowed) {
  auto server = ScriptedServer::Start({.identity = &good_, .tls_max = TLS1_VERSION});
  TransferRequest request = Trusting(*server);
  EXPECT_EQ(Name(runner_.Run(request).reason), "tls_protocol");
  request.tls.min_version = "1.0";
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.tls_version, "TLSv1");
}

TEST_F(TlsTest, AMinimumAboveTheServersVersionIsAProtocolFailure) {
  auto server = ScriptedServer::Start({.identity = &good_, .tls_max = TLS1_2_VERSION});
  TransferRequest request = Trusting(*server);
  request.tls.min_version = "1.3";
  EXPECT_EQ(Name(runner_.Run(request).reason), "tls_protocol");
}

class TlsClientCertificateTest : public TlsTest, public testing::WithParamInterface<int> {};

TEST_P(TlsClientCertificateTest, IsWantedAndRefusedByName) {
  auto server =
      ScriptedServer::Start({.identity = &good_, .client_ca = &ca_, .tls_max = GetParam()});
  TransferRequest request = Trusting(*server);
  TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "tls_client_certificate") << result.message;
  EXPECT_THAT(result.message, HasSubstr("got none"));

  const TestIdentity stranger = MakeTestCertificate({.common_name = "stranger"});
  request.tls.cert = Shared(stranger.certificate);
  request.tls.key = Shared(stranger.key);
  result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "tls_client_certificate") << result.message;
  EXPECT_THAT(result.message, HasSubstr("refused"));

  const TestIdentity friendly = MakeTestCertificate({.common_name = "friend"}, &ca_);
  request.tls.cert = Shared(friendly.certificate);
  request.tls.key = Shared(friendly.key);
  result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "none") << result.message;
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsClientCertificateTest,
                         testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

TEST_F(TlsTest, AKeyThatDoesNotFitIsTheRequestsFault) {
  auto server = Serve(good_);
  TransferRequest request = Trusting(*server);
  request.tls.cert = Shared(good_.certificate);
  request.tls.key = Shared(ca_.key);
  EXPECT_EQ(Name(runner_.Run(request).reason), "request_invalid");
  request.tls.key = Shared("no key");
  EXPECT_EQ(Name(runner_.Run(request).reason), "request_invalid");
  request = Trusting(*server);
  request.tls.ca = Shared("no certificate");
  EXPECT_EQ(Name(runner_.Run(request).reason), "request_invalid");
}

struct BadHandshake {
  const char* name;
  ScriptedBehaviour behaviour;
  const char* reason;
};

class TlsBadHandshakeTest : public testing::TestWithParam<BadHandshake> {};

TEST_P(TlsBadHandshakeTest, HasItsReason) {
  auto server = ScriptedServer::Start({.on_accept = GetParam().behaviour});
  TransferRunner runner;
  v1::FailureReason::Value expected;
  ASSERT_TRUE(v1::FailureReason::Value_Parse(GetParam().reason, &expected));
  const TransferResult result = runner.RunUntil(
      Get(absl::StrCat("https://127.0.0.1:", server->port(), "/"), absl::Milliseconds(400)),
      expected, absl::Milliseconds(100));
  EXPECT_EQ(Name(result.reason), GetParam().reason) << result.message;
  EXPECT_FALSE(result.inconclusive);
  EXPECT_LE(runner.took(), absl::Milliseconds(500));
}

using Connection = ScriptedConnection;

const BadHandshake kBadHandshakes[] = {
    {"silence", [](Connection& c, const std::string&) { c.ReadBytes(1 << 20); }, "tls_timeout"},
    {"close", [](Connection& c, const std::string&) { c.ReadBytes(100); }, "connect_reset"},
    {"reset",
     [](Connection& c, const std::string&) {
       c.ReadBytes(100);
       c.Reset();
     },
     "connect_reset"},
    {"plain_http",
     [](Connection& c, const std::string&) {
       c.ReadBytes(100);
       c.Write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
       c.ReadBytes(1 << 20);
     },
     "tls_protocol"},
    {"alert_handshake_failure",
     [](Connection& c, const std::string&) {
       c.ReadBytes(100);
       c.Write(absl::string_view("\x15\x03\x03\x00\x02\x02\x28", 7));
       c.ReadBytes(1 << 20);
     },
     "tls_protocol"},
    {"alert_unrecognized_name",
     [](Connection& c, const std::string&) {
       c.ReadBytes(100);
       c.Write(absl::string_view("\x15\x03\x03\x00\x02\x02\x70", 7));
       c.ReadBytes(1 << 20);
     },
     "tls_protocol"},
    {"garbage_record",
     [](Connection& c, const std::string&) {
       c.ReadBytes(100);
       c.Write(absl::string_view("\x16\x03\x03\x00\x04\xff\xff\xff\xff", 9));
       c.ReadBytes(1 << 20);
     },
     "tls_protocol"},
    {"one_byte_a_second",
     [](Connection& c, const std::string&) {
       c.ReadBytes(100);
       c.Drip(absl::string_view("\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", 11),
              absl::Seconds(1));
     },
     "tls_timeout"},
};

INSTANTIATE_TEST_SUITE_P(Behaviours, TlsBadHandshakeTest, testing::ValuesIn(kBadHandshakes),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(TlsTest, ABodyThatEndsWithoutCloseNotifyIsCutOff) {
  auto server = Serve(good_);
  server->On("/cut", [](Connection& c, const std::string&) {
    c.Write("HTTP/1.1 200 OK\r\n\r\nhel");
    c.Close();
  });
  TransferRequest request = Trusting(*server);
  request.url = server->Url("/cut");
  EXPECT_EQ(Name(runner_.Run(request).reason), "protocol_error");
}

TEST_F(TlsTest, ConnectionsOfASessionKeepTheirTlsFacts) {
  auto server = Serve(good_);
  TransferRequest request = Trusting(*server);
  request.url = server->Url("/keep");
  request.more_follow = true;
  EXPECT_FALSE(runner_.Run(request).reused);
  const TransferResult second = runner_.RunAgain(request);
  EXPECT_TRUE(second.reused) << second.message;
  EXPECT_FALSE(second.times.tls.has_value());
  EXPECT_FALSE(second.times.connect.has_value());
  EXPECT_EQ(second.tls_version, "TLSv1.3");
  EXPECT_EQ(second.certificates.size(), 1u);
  EXPECT_EQ(server->connections(), 1);
}

TEST_F(TlsTest, ConnectionsAreNotSharedAcrossTlsSettings) {
  auto server = Serve(good_);
  TransferRequest request = Trusting(*server);
  request.url = server->Url("/keep");
  request.reuse = true;
  EXPECT_EQ(Name(runner_.Run(request).reason), "none");
  EXPECT_TRUE(runner_.Run(request).reused);
  request.tls.ca = Shared(MakeTestCertificate({.common_name = "other", .is_ca = true}).certificate);
  EXPECT_EQ(Name(runner_.Run(request).reason), "tls_untrusted");
  request.tls.ca = nullptr;
  request.tls.verify = false;
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "none");
  EXPECT_FALSE(result.reused);
}

}  // namespace
}  // namespace picket
