// Through proxies: only the proxy's name is resolved by us, and a proxy that fails is
// told from a target that fails.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/scripted_dns.h"
#include "tests/support/scripted_proxy.h"
#include "tests/support/scripted_server.h"
#include "tests/unit/engine/transfer_test_util.h"

namespace picket {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TransferProxyTest : public testing::Test {
 protected:
  TransferProxyTest()
      : identity_(MakeTestCertificate({.names = {"target.test", "127.0.0.1"}})),
        plain_(ScriptedServer::Start()),
        secure_(ScriptedServer::Start({.identity = &identity_})),
        runner_({.dns_servers = {dns_.address()}}) {}

  std::unique_ptr<ScriptedServer> Proxy(ScriptedBehaviour behaviour) {
    return ScriptedServer::Start({.on_connect = std::move(behaviour)});
  }
  static std::string Http(const ScriptedServer& proxy, std::string user = "") {
    return absl::StrCat("http://", user, "127.0.0.1:", proxy.port());
  }
  static std::string Socks(const ScriptedServer& proxy, std::string user = "") {
    return absl::StrCat("socks5h://", user, "127.0.0.1:", proxy.port());
  }
  TransferRequest Plain(std::string proxy) {
    TransferRequest request = Get(absl::StrCat("http://target.test:", plain_->port(), "/ok"));
    request.proxy = std::move(proxy);
    return request;
  }
  TransferRequest Secure(std::string proxy) {
    TransferRequest request = Get(absl::StrCat("https://target.test:", secure_->port(), "/ok"));
    request.proxy = std::move(proxy);
    request.tls.ca = std::make_shared<const std::string>(identity_.certificate);
    return request;
  }

  const TestIdentity identity_;
  std::unique_ptr<ScriptedServer> plain_, secure_;
  ScriptedDns dns_;
  TransferRunner runner_;
  const std::shared_ptr<ProxyLog> log_ = std::make_shared<ProxyLog>();
};

TEST_F(TransferProxyTest, HttpsGoesThroughATunnel) {
  auto proxy = Proxy(HttpProxy(log_));
  const TransferResult result = runner_.Run(Secure(Http(*proxy)));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.body, "hello");
  EXPECT_EQ(result.certificates.size(), 1u);
  EXPECT_THAT(result.request_head, testing::StartsWith("GET /ok HTTP/1.1\r\nHost: target.test:"));
  EXPECT_THAT(log_->entries(),
              ElementsAre(absl::StrCat("CONNECT target.test:", secure_->port(), " HTTP/1.1")));
  EXPECT_THAT(dns_.questions(), IsEmpty());
  EXPECT_EQ(result.port, proxy->port());
}

TEST_F(TransferProxyTest, HttpIsForwarded) {
  auto proxy = Proxy(HttpProxy(log_));
  const TransferResult result = runner_.Run(Plain(Http(*proxy)));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.body, "hello");
  EXPECT_THAT(log_->entries(),
              ElementsAre(absl::StrCat("GET http://target.test:", plain_->port(), "/ok HTTP/1.1")));
  EXPECT_THAT(dns_.questions(), IsEmpty());
}

TEST_F(TransferProxyTest, SocksIsGivenTheName) {
  auto proxy = Proxy(Socks5Proxy(log_));
  TransferResult result = runner_.Run(Plain(Socks(*proxy)));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.body, "hello");
  result = runner_.Run(Secure(Socks(*proxy)));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_THAT(log_->entries(), ElementsAre(absl::StrCat("target.test:", plain_->port()),
                                           absl::StrCat("target.test:", secure_->port())));
  EXPECT_THAT(dns_.questions(), IsEmpty());
}

TEST_F(TransferProxyTest, TheProxysOwnNameIsResolved) {
  auto proxy = Proxy(HttpProxy(log_));
  const TransferResult result = runner_.Run(Secure(absl::StrCat("http://ok.test:", proxy->port())));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(dns_.questions().size(), 2u);
  EXPECT_EQ(Name(runner_.Run(Secure("http://missing.test:1")).reason), "proxy_error");
}

TEST_F(TransferProxyTest, CredentialsAreForTheProxyAlone) {
  auto proxy = Proxy(HttpProxy(log_, "me:p@ss"));
  const TransferResult result = runner_.Run(Secure(Http(*proxy, "me:p%40ss@")));
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_THAT(result.request_head, testing::Not(HasSubstr("Proxy-Authorization")));
  auto socks = Proxy(Socks5Proxy(log_, "me:p@ss"));
  EXPECT_EQ(Name(runner_.Run(Plain(Socks(*socks, "me:p%40ss@"))).reason), "none");
}

TEST_F(TransferProxyTest, ARefusingProxyIsAProxyError) {
  auto http = Proxy(HttpProxy(log_, "me:right"));
  TransferResult result = runner_.Run(Secure(Http(*http, "me:wrong@")));
  EXPECT_EQ(Name(result.reason), "proxy_error") << result.message;
  auto socks = Proxy(Socks5Proxy(log_, "me:right"));
  result = runner_.Run(Plain(Socks(*socks, "me:wrong@")));
  EXPECT_EQ(Name(result.reason), "proxy_error") << result.message;
  EXPECT_EQ(Name(runner_.Run(Plain(absl::StrCat("http://127.0.0.1:", UnusedPort()))).reason),
            "proxy_error");
}

TEST_F(TransferProxyTest, ATargetThatTheProxyCannotReachIsAProxyError) {
  auto http = Proxy(HttpProxy(log_));
  TransferRequest request = Secure(Http(*http));
  request.url = absl::StrCat("https://target.test:", UnusedPort(), "/");
  EXPECT_EQ(Name(runner_.Run(request).reason), "proxy_error");
  auto socks = Proxy(Socks5Proxy(log_));
  request.proxy = Socks(*socks);
  EXPECT_EQ(Name(runner_.Run(request).reason), "proxy_error");
}

TEST_F(TransferProxyTest, FailuresBehindTheProxyAreTheTargets) {
  auto proxy = Proxy(HttpProxy(log_));
  TransferRequest request = Secure(Http(*proxy));
  request.tls.ca = nullptr;
  EXPECT_EQ(Name(runner_.Run(request).reason), "tls_untrusted");
  request = Secure(Http(*proxy));
  request.url = absl::StrCat("https://target.test:", secure_->port(), "/two-lengths");
  EXPECT_EQ(Name(runner_.Run(request).reason), "protocol_error");
  request = Secure(Http(*proxy));
  request.url = absl::StrCat("https://target.test:", secure_->port(), "/silence");
  request.timeout = absl::Milliseconds(300);
  EXPECT_EQ(Name(runner_.Run(request).reason), "timeout_first_byte");
}

TEST_F(TransferProxyTest, ASilentProxyTimesOutTheConnection) {
  auto proxy = Proxy([](ScriptedConnection& c, const std::string&) { c.ReadBytes(1 << 20); });
  for (const bool socks : {false, true}) {
    TransferRequest request = Secure(socks ? Socks(*proxy) : Http(*proxy));
    request.timeout = absl::Milliseconds(300);
    const TransferResult result = runner_.Run(request);
    EXPECT_EQ(Name(result.reason), "connect_timeout") << result.message;
    EXPECT_THAT(result.message, HasSubstr("proxy"));
  }
}

TEST_F(TransferProxyTest, AProxyThatTalksNonsenseIsAProxyError) {
  auto proxy = Proxy([](ScriptedConnection& c, const std::string&) {
    c.ReadBytes(3);
    c.Write("nonsense\r\n\r\n");
  });
  EXPECT_EQ(Name(runner_.Run(Secure(Http(*proxy))).reason), "proxy_error");
  EXPECT_EQ(Name(runner_.Run(Secure(Socks(*proxy))).reason), "proxy_error");
}

TEST_F(TransferProxyTest, WhatLibcurlSaysOfItEndsInOneStop) {
  auto nonsense = Proxy([](ScriptedConnection& c, const std::string&) {
    c.ReadBytes(3);
    c.Write("nonsense\r\n\r\n");
  });
  const TransferResult said = runner_.Run(Plain(Socks(*nonsense)));
  EXPECT_EQ(Name(said.reason), "proxy_error");
  EXPECT_THAT(said.message, testing::Not(testing::EndsWith(".."))) << said.message;
}

TEST_F(TransferProxyTest, OtherKindsOfProxyAreRefused) {
  for (const char* proxy :
       {"https://127.0.0.1:1", "socks5://127.0.0.1:1", "127.0.0.1:1", "http://"}) {
    EXPECT_EQ(Name(runner_.Run(Plain(proxy)).reason), "request_invalid") << proxy;
  }
}

}  // namespace
}  // namespace picket
