// Which transfers share a connection, which never do, and what digest makes of it.

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/scripted_server.h"
#include "tests/unit/engine/transfer_test_util.h"

namespace picket {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class TransferConnectionsTest : public testing::Test {
 protected:
  TransferConnectionsTest() : server_(ScriptedServer::Start()) {}

  TransferRequest To(const std::string& path) { return Get(server_->Url(path)); }

  std::unique_ptr<ScriptedServer> server_;
  TransferRunner runner_;
};

TEST_F(TransferConnectionsTest, FreshTransfersShareNothing) {
  runner_.Run(To("/keep"));
  runner_.RunAgain(To("/keep"));
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(TransferConnectionsTest, TransfersOfASessionShareTheirConnection) {
  TransferRequest request = To("/keep");
  request.more_follow = true;
  EXPECT_FALSE(runner_.Run(request).reused);
  request.url = server_->Url("/keep-other");
  const TransferResult second = runner_.RunAgain(request);
  EXPECT_TRUE(second.reused);
  EXPECT_EQ(second.address, "127.0.0.1");
  EXPECT_FALSE(second.times.connect.has_value());
  EXPECT_EQ(server_->connections(), 1);
  EXPECT_FALSE(runner_.Run(request).reused);  // another session
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(TransferConnectionsTest, TheNextStepMakesANewConnectionWhenTheServerClosed) {
  TransferRequest request = To("/ok");  // answers with Connection: close
  request.more_follow = true;
  runner_.Run(request);
  EXPECT_EQ(Name(runner_.RunAgain(request).reason), "none");
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(TransferConnectionsTest, PooledConnectionsAreSharedByAll) {
  TransferRequest request = To("/keep");
  request.reuse = true;
  EXPECT_FALSE(runner_.Run(request).reused);
  EXPECT_TRUE(runner_.Run(request).reused);
  EXPECT_TRUE(runner_.Run(request).reused);
  EXPECT_EQ(server_->connections(), 1);
  EXPECT_FALSE(runner_.Run(To("/keep")).reused);  // fresh takes nothing from the pool
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(TransferConnectionsTest, PooledConnectionsAreKeptApartByAddress) {
  TransferRequest request = Get(absl::StrCat("http://one.test:", server_->port(), "/keep"));
  request.reuse = true;
  request.resolve["one.test"] = "127.0.0.1";
  EXPECT_FALSE(runner_.Run(request).reused);
  EXPECT_TRUE(runner_.Run(request).reused);
  request.resolve["one.test"] = "127.0.0.2";
  const TransferResult other = runner_.Run(request);
  EXPECT_FALSE(other.reused);
  EXPECT_NE(other.address, "127.0.0.1");
}

TEST_F(TransferConnectionsTest, ADeadPooledConnectionIsReplaced) {
  TransferRequest request = To("/keep-then-close");
  server_->On("/keep-then-close", [](ScriptedConnection& c, const std::string&) {
    c.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    c.Close();
  });
  request.reuse = true;
  for (int i = 0; i < 5; ++i) {
    const TransferResult result = runner_.Run(request);
    EXPECT_EQ(Name(result.reason), "none") << result.message;
    EXPECT_EQ(result.body, "hello");
  }
  EXPECT_EQ(server_->connections(), 5);
}

TEST_F(TransferConnectionsTest, BytesBehindAPooledAnswerNeverReachTheNextTest) {
  server_->On("/keep-two", [](ScriptedConnection& c, const std::string&) {
    c.Write("HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n" + std::string(30000, 'x') +
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
  });
  server_->On("/keep-later", [](ScriptedConnection& c, const std::string&) {
    c.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    c.Pause(absl::Milliseconds(20));
    c.Write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
  });
  TransferRequest request = To("/keep-two");
  request.reuse = true;
  EXPECT_EQ(Name(runner_.Run(request).reason), "protocol_error");
  request.url = server_->Url("/keep");
  EXPECT_EQ(runner_.Run(request).body, "hello");
  request.url = server_->Url("/keep-later");
  EXPECT_EQ(Name(runner_.Run(request).reason), "none");
  runner_.Run(To("/delay-50"));
  request.url = server_->Url("/keep");
  const TransferResult next = runner_.Run(request);
  EXPECT_EQ(next.body, "hello");
  EXPECT_FALSE(next.reused);
}

TEST_F(TransferConnectionsTest, APostIsNotSentTwiceWhenAPooledConnectionDies) {
  server_->On("/keep-die", [](ScriptedConnection& c, const std::string&) { c.Close(); });
  TransferRequest request = To("/keep");
  request.reuse = true;
  runner_.Run(request);
  request.url = server_->Url("/keep-die");
  request.method = "POST";
  request.body = "pay";
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "connect_reset") << result.message;
  int posts = 0;
  for (const std::string& head : server_->requests()) posts += head.substr(0, 4) == "POST" ? 1 : 0;
  EXPECT_EQ(posts, 1);
}

TEST_F(TransferConnectionsTest, DigestAnswersItsChallenge) {
  server_->On("/keep-digest", [](ScriptedConnection& c, const std::string& head) {
    if (!absl::StrContains(head, "Authorization: Digest")) {
      c.Write(
          "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"abc\", "
          "qop=\"auth\", algorithm=SHA-256\r\nContent-Length: 4\r\n\r\nwhat");
      return;
    }
    c.Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nin");
  });
  TransferRequest request = To("/keep-digest");
  request.digest = {"user", "pass"};
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.status, 200);
  EXPECT_EQ(result.body, "in");
  EXPECT_THAT(result.request_head,
              AllOf(HasSubstr("Digest username=\"user\""), Not(HasSubstr("pass\""))));
  EXPECT_EQ(server_->connections(), 1);
}

TEST_F(TransferConnectionsTest, DigestConnectsAgainWhenTheServerClosedAfterTheChallenge) {
  server_->On("/digest", [](ScriptedConnection& c, const std::string& head) {
    if (!absl::StrContains(head, "Authorization: Digest")) {
      c.Write(
          "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"abc\"\r\n"
          "Content-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
    c.Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nin");
  });
  TransferRequest request = To("/digest");
  request.digest = {"user", "pass"};
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(result.body, "in") << result.message;
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(TransferConnectionsTest, WrongDigestCredentialsEndWithTheChallenge) {
  server_->On("/keep-no", [](ScriptedConnection& c, const std::string&) {
    c.Write(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"abc\"\r\n"
        "Content-Length: 2\r\n\r\nno");
  });
  TransferRequest request = To("/keep-no");
  request.digest = {"user", "wrong"};
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.status, 401);
  EXPECT_EQ(result.body, "no");
}

}  // namespace
}  // namespace picket
