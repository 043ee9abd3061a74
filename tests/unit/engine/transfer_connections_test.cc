// Which transfers share a connection, which never do, and what digest makes of it.

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

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

TEST_F(TransferConnectionsTest, OutOfFilesIsOurFault) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer for undefined behaviour needs files of its own";
#endif
  const TransferResult result = runner_.RunWithoutFiles(To("/ok"));
  EXPECT_EQ(Name(result.reason), "agent_resources");
  EXPECT_TRUE(result.inconclusive);
  EXPECT_EQ(Name(runner_.Run(To("/ok")).reason), "none");
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

// Keeps a number of transfers going, each with a path of its own, until enough have ended.
class Stream {
 public:
  Stream(TransferLoop* loop, std::string base, int total)
      : loop_(loop), base_(std::move(base)), total_(total) {}

  // On the loop.
  void Next() {
    if (started_ == total_) return;
    const std::string query = std::to_string(++started_);
    TransferRequest request = Get(base_ + "?" + query);
    request.reuse = true;
    auto session = std::shared_ptr<TransferSession>(loop_->NewSession());
    loop_->StartTransfer(session.get(), std::move(request),
                         [this, session, query](TransferResult result) {
                           if (result.body != query) wrong_.push_back(result.message);
                           Next();
                           if (++ended_ == total_) done_.Raise();
                         });
  }
  std::vector<std::string> Wait() {
    done_.Wait();
    return wrong_;
  }

 private:
  TransferLoop* const loop_;
  const std::string base_;
  const int total_;
  int started_ = 0, ended_ = 0;
  std::vector<std::string> wrong_;
  Signal done_;
};

// Answers each request with its query, so fast that the answer is often there before the
// client has done anything else.
class HastyServer {
 public:
  HastyServer() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    PICKET_CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    PICKET_CHECK(listen(listener_, 128) == 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~HastyServer() {
    stop_.store(true);
    thread_.join();
    for (const pollfd& open : fds_) close(open.fd);
  }
  uint16_t port() const { return port_; }
  int connections() const { return connections_.load(); }

 private:
  void Run() {
    fds_.push_back({listener_, POLLIN, 0});
    while (!stop_.load()) {
      if (poll(fds_.data(), fds_.size(), 0) <= 0) continue;
      for (size_t i = 1; i < fds_.size(); ++i) {
        if (fds_[i].revents != 0 && !Answer(fds_[i].fd)) fds_[i].fd = -1;
      }
      if (fds_[0].revents == 0) continue;
      fds_.push_back({accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), POLLIN, 0});
      ++connections_;
    }
  }
  static bool Answer(int fd) {
    char head[2048];
    const ssize_t size = read(fd, head, sizeof(head));
    if (size <= 0) {
      close(fd);
      return false;
    }
    const absl::string_view text(head, static_cast<size_t>(size));
    const size_t from = text.find('?') + 1;
    const absl::string_view query = text.substr(from, text.find(' ', from) - from);
    const std::string answer =
        absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", query.size(), "\r\n\r\n", query);
    return write(fd, answer.data(), answer.size()) > 0;
  }

  int listener_;
  uint16_t port_;
  std::vector<pollfd> fds_;
  std::atomic<int> connections_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST_F(TransferConnectionsTest, ManyPooledTransfersNeverMeetOnAConnection) {
  HastyServer server;
  Stream stream(runner_.loop(), absl::StrCat("http://127.0.0.1:", server.port(), "/"), 1000);
  runner_.OnLoop([&] {
    for (int i = 0; i < 32; ++i) stream.Next();
  });
  EXPECT_THAT(stream.Wait(), testing::IsEmpty());
  EXPECT_LE(server.connections(), 32);
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

TEST_F(TransferConnectionsTest, AChallengeIsTimeToTheFirstByte) {
  constexpr absl::Duration kPause = absl::Milliseconds(30);
  const auto challenge = [kPause](absl::string_view close) {
    return [kPause, close](ScriptedConnection& c, const std::string& head) {
      if (absl::StrContains(head, "Authorization: Digest")) {
        c.Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nin");
        return;
      }
      c.Pause(kPause);
      c.Write(absl::StrCat(
          "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"abc\"\r\n",
          "Content-Length: 0\r\n", close, "\r\n"));
    };
  };
  server_->On("/keep-challenge", challenge(""));
  server_->On("/challenge", challenge("Connection: close\r\n"));
  for (const char* path : {"/keep-challenge", "/challenge"}) {
    TransferRequest request = To(path);
    request.digest = {"user", "pass"};
    const TransferResult result = runner_.Run(request);
    EXPECT_EQ(result.body, "in") << path << ": " << result.message;
    const PhaseTimes& times = result.times;
    EXPECT_GE(times.first_byte.value_or(0), absl::ToInt64Microseconds(kPause)) << path;
    const int64_t sum = int64_t{times.connect.value_or(0)} + times.send.value_or(0) +
                        times.first_byte.value_or(0) + times.transfer.value_or(0);
    EXPECT_LE(sum, int64_t{times.total} + 4) << path;  // each rounded to a microsecond
  }
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
