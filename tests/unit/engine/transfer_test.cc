// A transfer between well-behaved parties: what goes out, what is measured, and which
// connections are shared.


#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/limits.h"
#include "agent/engine/loop.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/scripted_server.h"
#include "tests/unit/engine/kernel_stamps.h"
#include "tests/unit/engine/transfer_test_util.h"

namespace picket {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Lt;
using testing::Not;
using testing::Pair;

class TransferTest : public testing::Test {
 protected:
  TransferTest() : server_(ScriptedServer::Start()) {}

  TransferRequest To(const std::string& path) { return Get(server_->Url(path)); }

  std::unique_ptr<ScriptedServer> server_;
  TransferRunner runner_;
};

TEST_F(TransferTest, AnAnswerIsToldWhole) {
  const TransferResult result = runner_.Run(To("/ok"));
  EXPECT_EQ(Name(result.reason), "none");
  EXPECT_EQ(result.message, "");
  EXPECT_EQ(result.status, 200);
  EXPECT_EQ(result.http_version, "1.1");
  EXPECT_EQ(result.status_line, "HTTP/1.1 200 OK");
  EXPECT_THAT(result.headers,
              ElementsAre(Pair("Connection", "close"), Pair("Content-Length", "5")));
  EXPECT_EQ(result.body, "hello");
  EXPECT_EQ(result.wire_body_bytes, 5u);
  EXPECT_EQ(result.address, "127.0.0.1");
  EXPECT_EQ(result.port, server_->port());
  EXPECT_THAT(result.addresses_tried, ElementsAre("127.0.0.1"));
  EXPECT_GT(result.bytes_up, 0u);
  EXPECT_GT(result.bytes_down, 5u);
  EXPECT_FALSE(result.reused);
}

TEST_F(TransferTest, ALoopThatLooksLateStillKnowsWhenTheAnswerCame) {
  ASSERT_TRUE(KernelStampsArrivals());
  for (int round = 0; round < 3; ++round) {
    std::atomic<int64_t> written_ns{0};
    std::atomic<bool> asked{false}, busy{false};
    const auto over = std::make_shared<std::atomic<bool>>(false);
    server_->On("/ok", [&, over](ScriptedConnection& c, const std::string&) {
      asked = true;
      while (!busy) std::this_thread::yield();
      c.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
      written_ns.store(EventLoop::ReadClockNs());
      // The kernel joins the FIN to the answer that waits, and keeps the later time.
      while (!*over) std::this_thread::yield();
    });
    int64_t start_ns = 0;
    TransferResult result;
    Signal done;
    std::unique_ptr<TransferSession> session;
    // Once the request has gone out, a turn that is a long one.
    std::function<void()> look = [&] {
      if (!asked) return runner_.loop()->Post(look);
      busy = true;
      while (written_ns.load() == 0) {
      }
      while (EventLoop::ReadClockNs() < written_ns.load() + 50'000'000) {
      }
    };
    runner_.loop()->Post([&] {
      start_ns = EventLoop::ReadClockNs();
      session = runner_.loop()->NewSession();
      runner_.loop()->StartTransfer(session.get(), To("/ok"), [&](TransferResult got) {
        result = std::move(got);
        session.reset();
        *over = true;
        done.Raise();
      });
      runner_.loop()->Post(look);
    });
    done.Wait();
    EXPECT_EQ(Name(result.reason), "none") << result.message;
    EXPECT_GE(result.loop_stall, absl::Milliseconds(49));
    // Between the two clocks, and in the sum of the phases, some microseconds are lost.
    const int64_t most_us = (written_ns.load() - start_ns) / 1000 + 200;
    EXPECT_LE(result.times.first_byte, most_us) << "round " << round;
    EXPECT_LE(result.times.total, most_us) << "round " << round;
  }
}

// Counts the loop's turns while a transfer runs.
class TurnCounter {
 public:
  explicit TurnCounter(TransferLoop* loop) : loop_(loop) {}
  // On the loop.
  void Turn() {
    ++turns_;
    if (!stopped_) loop_->Post([this] { Turn(); });
  }
  void Stop() { stopped_ = true; }
  int turns() const { return turns_; }

 private:
  TransferLoop* const loop_;
  int turns_ = 0;
  bool stopped_ = false;
};

TEST_F(TransferTest, AnEnormousBodyLeavesTheLoopTurning) {
  constexpr size_t kBytes = 64u << 20;
  server_->On("/enormous", [](ScriptedConnection& c, const std::string&) {
    c.Write(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", kBytes, "\r\n\r\n"));
    c.WriteRepeatedly(std::string(1u << 20, 'x'), 64);
  });
  TransferRequest request = To("/enormous");
  request.body_limit = kBytes;
  TurnCounter counter(runner_.loop());
  Signal done;
  std::unique_ptr<TransferSession> session;
  runner_.loop()->Post([&] {
    session = runner_.loop()->NewSession();
    runner_.loop()->StartTransfer(session.get(), request, [&](TransferResult result) {
      EXPECT_EQ(Name(result.reason), "none") << result.message;
      EXPECT_EQ(result.body.size(), kBytes);
      counter.Stop();
      session.reset();
      runner_.loop()->Post([&] { done.Raise(); });
    });
    counter.Turn();
  });
  done.Wait();
  EXPECT_GE(counter.turns(), static_cast<int>(kBytes / DefaultEngineLimits().decode_turn_bytes));
}

TEST_F(TransferTest, NothingGoesOutThatNobodyAskedFor) {
  const TransferResult result = runner_.Run(To("/echo-head?a=b#fragment"));
  EXPECT_EQ(result.body, absl::StrCat("GET /echo-head?a=b HTTP/1.1\r\nHost: 127.0.0.1:",
                                      server_->port(), "\r\nConnection: close\r\n\r\n"));
  EXPECT_EQ(result.request_head, result.body);
}

TEST_F(TransferTest, HeadersGoOutInOrderAsGiven) {
  TransferRequest request = To("/echo-head");
  request.headers = {{"X-B", "1"},
                     {"x-a", "2"},
                     {"X-Empty", ""},
                     {"Host", "other.example"},
                     {"Accept", "text/html"},
                     {"Connection", "keep-alive"},
                     {"X-B", "3"}};
  request.compressed = true;
  EXPECT_EQ(runner_.Run(request).body,
            "GET /echo-head HTTP/1.1\r\nHost: other.example\r\nX-B: 1\r\nx-a: 2\r\nX-Empty:\r\n"
            "Accept: text/html\r\nConnection: keep-alive\r\nX-B: 3\r\n"
            "Accept-Encoding: gzip, deflate, br\r\n\r\n");
}

TEST_F(TransferTest, PathsGoOutAsTheyAre) {
  TransferRequest request = To("/echo-head");
  server_->On("/a/../b//c", [](ScriptedConnection& c, const std::string& head) {
    c.Write(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", head.size(), "\r\n\r\n", head));
  });
  request.url = server_->Url("/a/../b//c");
  EXPECT_THAT(runner_.Run(request).body, HasSubstr("GET /a/../b//c HTTP/1.1"));
}

TEST_F(TransferTest, ABodyGoesOutWithItsLength) {
  for (const char* method : {"POST", "PUT", "PATCH", "DELETE", "GET", "REPORT"}) {
    TransferRequest request = To("/echo");
    request.method = method;
    request.body = std::string("a\0b", 3);
    const TransferResult result = runner_.Run(request);
    EXPECT_EQ(result.body, *request.body) << method << ": " << result.message;
    EXPECT_THAT(result.headers, testing::Contains(Pair("X-Method", method)));
    EXPECT_THAT(result.request_head, HasSubstr("Content-Length: 3\r\n"));
    EXPECT_THAT(result.request_head, Not(HasSubstr("Content-Type")));
    EXPECT_THAT(result.request_head, Not(HasSubstr("Expect")));
  }
}

TEST_F(TransferTest, AnEmptyBodyIsABodyOfLengthZero) {
  TransferRequest request = To("/echo-head");
  request.method = "POST";
  request.body = "";
  EXPECT_THAT(runner_.Run(request).body, HasSubstr("Content-Length: 0\r\n"));
}

TEST_F(TransferTest, ALargeBodyGoesOutWhole) {
  TransferRequest request = To("/echo");
  request.method = "POST";
  request.body = std::string(900'000, 'x');
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_EQ(result.body, *request.body);
  EXPECT_GE(result.bytes_up, 900'000u);
}

TEST_F(TransferTest, AServerThatDoesNotReadTimesOutTheSending) {
  TransferRequest request = To("/never-reads");
  request.method = "POST";
  request.body = std::string(32u << 20, 'x');
  request.timeout = absl::Milliseconds(300);
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "timeout_send") << result.message;
}

TEST_F(TransferTest, AnEarlyRefusalIsAnAnswer) {
  TransferRequest request = To("/early-refusal");
  request.method = "POST";
  request.body = std::string(200'000, 'x');
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(result.status, 413) << result.message;
}

TEST_F(TransferTest, HeadHasNoBodyHoweverLongItWouldBe) {
  TransferRequest request = To("/head");
  request.method = "HEAD";
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "none") << result.message;
  EXPECT_THAT(result.headers, ElementsAre(Pair("Content-Length", "1000")));
  EXPECT_EQ(result.body, "");
  EXPECT_EQ(runner_.Run(To("/ok")).body, "hello");  // the next one is a GET again
}

TEST_F(TransferTest, RequestsThatHttpDoesNotAllowAreNotSent) {
  TransferRequest request = To("/ok");
  request.headers = {{"X", "a\r\nInjected: b"}};
  EXPECT_EQ(Name(runner_.Run(request).reason), "request_invalid");
  request.headers = {{"X Y", "a"}};
  EXPECT_EQ(Name(runner_.Run(request).reason), "request_invalid");
  request.headers.clear();
  request.method = "GET /x HTTP/1.1\r\n";
  EXPECT_EQ(Name(runner_.Run(request).reason), "request_invalid");
  for (const char* url :
       {"", "ftp://127.0.0.1/", "http://", "http:///x", "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/", "http://a b/", "http://127.0.0.1/\r\nX: y", "/ok"}) {
    EXPECT_EQ(Name(runner_.Run(Get(url)).reason), "request_invalid") << url;
  }
  EXPECT_EQ(server_->connections(), 0);
}

TEST_F(TransferTest, ARefusedConnectionIsRefused) {
  const TransferResult result =
      runner_.Run(Get(absl::StrCat("http://127.0.0.1:", UnusedPort(), "/")));
  EXPECT_EQ(Name(result.reason), "connect_refused");
  EXPECT_THAT(result.message, HasSubstr("127.0.0.1:"));
  EXPECT_FALSE(result.times.connect.has_value());
}

TEST_F(TransferTest, ABlackHoleTimesTheConnectionOut) {
  const BlackHole hole(false);
  const TransferResult result = runner_.Run(
      Get(absl::StrCat("http://127.0.0.1:", hole.port(), "/"), absl::Milliseconds(300)));
  EXPECT_EQ(Name(result.reason), "connect_timeout");
  EXPECT_THAT(result.addresses_tried, ElementsAre("127.0.0.1"));
  EXPECT_THAT(result.warnings, ElementsAre("address_unreachable 127.0.0.1"));
}

TEST_F(TransferTest, ANetworkWithoutARouteIsUnreachable) {
  // The kernel refuses TCP to a multicast address by itself: no packet leaves.
  const TransferResult result = runner_.Run(Get("http://224.0.0.1/", absl::Seconds(2)));
  EXPECT_EQ(Name(result.reason), "connect_unreachable") << result.message;
}

TEST_F(TransferTest, PhasesAreTheServersOwn) {
  for (int i = 0; i < 5; ++i) {
    const TransferResult first = runner_.Run(To("/delay-50"));
    ASSERT_TRUE(first.times.first_byte.has_value());
    EXPECT_GE(*first.times.first_byte, 50'000u);
    EXPECT_LT(*first.times.transfer, *first.times.first_byte);
    EXPECT_FALSE(first.times.dns.has_value());
    EXPECT_FALSE(first.times.tls.has_value());
    EXPECT_TRUE(first.times.connect.has_value());
    EXPECT_TRUE(first.times.send.has_value());
    EXPECT_GE(first.times.total, *first.times.connect + *first.times.send +
                                     *first.times.first_byte + *first.times.transfer - 3);
    const TransferResult body = runner_.Run(To("/delay-body-50"));
    EXPECT_GE(*body.times.first_byte + *body.times.transfer, 49'000u);
  }
}

TEST_F(TransferTest, ADeadLoopIsSeenInTheResult) {
  Signal done;
  TransferResult result;
  std::unique_ptr<TransferSession> session;
  runner_.loop()->Post([&] {
    session = runner_.loop()->NewSession();
    runner_.loop()->StartTransfer(session.get(), To("/delay-50"), [&](TransferResult got) {
      result = std::move(got);
      session.reset();
      done.Raise();
    });
    // Keeps the loop from turning.
    const absl::Duration start = Clock::Real()->Monotonic();
    while (Clock::Real()->Monotonic() - start < absl::Milliseconds(30)) {
    }
  });
  done.Wait();
  EXPECT_GE(result.loop_stall, absl::Milliseconds(29));
  runner_.OnLoop([&] { EXPECT_GE(runner_.loop()->TakeLoopLag(), absl::Milliseconds(29)); });
}

TEST_F(TransferTest, BodiesAreDecodedOnlyWhenAsked) {
  TransferRequest request = To("/gzip");
  request.compressed = true;
  const TransferResult decoded = runner_.Run(request);
  EXPECT_EQ(decoded.body, "hello, gzip");
  EXPECT_NE(decoded.wire_body_bytes, decoded.body.size());
  request.compressed = false;
  const TransferResult raw = runner_.Run(request);
  EXPECT_EQ(raw.body.size(), raw.wire_body_bytes);
  EXPECT_EQ(raw.body.substr(0, 2), "\x1f\x8b");
}

TEST_F(TransferTest, TheBodyLimitIsExact) {
  TransferRequest request = To("/ok");
  request.body_limit = 5;
  EXPECT_EQ(Name(runner_.Run(request).reason), "none");
  request.body_limit = 4;
  const TransferResult result = runner_.Run(request);
  EXPECT_EQ(Name(result.reason), "body_too_large");
  EXPECT_EQ(result.body, "hell");
  request.body_limit = 0;
  EXPECT_EQ(Name(runner_.Run(request).reason), "body_too_large");
}

TEST_F(TransferTest, ACancelledTransferIsNeverHeardOf) {
  Signal done;
  bool called = false;
  std::unique_ptr<TransferSession> session;
  runner_.loop()->Post([&] {
    session = runner_.loop()->NewSession();
    const auto id = runner_.loop()->StartTransfer(session.get(), To("/delay-50"),
                                                  [&](TransferResult) { called = true; });
    runner_.loop()->StartTimer(absl::Milliseconds(5), [&, id] {
      runner_.loop()->CancelTransfer(id);
      runner_.loop()->CancelTransfer(id);
      session.reset();
    });
    runner_.loop()->StartTimer(absl::Milliseconds(100), [&] { done.Raise(); });
  });
  done.Wait();
  EXPECT_FALSE(called);
}

TEST_F(TransferTest, DoneIsCalledOnALaterTurn) {
  Signal done;
  bool returned = false, late = false;
  std::unique_ptr<TransferSession> session;
  runner_.loop()->Post([&] {
    session = runner_.loop()->NewSession();
    runner_.loop()->StartTransfer(session.get(), Get("nonsense"), [&](TransferResult) {
      late = returned;
      session.reset();
      done.Raise();
    });
    returned = true;
  });
  done.Wait();
  EXPECT_TRUE(late);
}

TEST_F(TransferTest, TheLoopMayEndWithTransfersInFlight) {
  auto session = std::make_shared<std::unique_ptr<TransferSession>>();
  {
    TransferRunner runner;
    runner.OnLoop([&] {
      *session = runner.loop()->NewSession();
      for (const char* path : {"/silence", "/drip-body", "/stuck-in-body", "/never-reads"}) {
        runner.loop()->StartTransfer(session->get(), To(path), [](TransferResult) { FAIL(); });
      }
      runner.loop()->StartTransfer(session->get(), Get("http://silent.invalid/"),
                                   [](TransferResult) {});
    });
  }
  session->reset();  // after its loop
  EXPECT_EQ(*session, nullptr);
}

TEST_F(TransferTest, TimersFireInOrderAndOnce) {
  Signal done;
  std::vector<int> fired;
  runner_.loop()->Post([&] {
    runner_.loop()->StartTimer(absl::Milliseconds(20), [&] {
      fired.push_back(2);
      done.Raise();
    });
    runner_.loop()->StartTimer(absl::Milliseconds(10), [&] { fired.push_back(1); });
    const auto cancelled =
        runner_.loop()->StartTimer(absl::Milliseconds(5), [&] { fired.push_back(9); });
    runner_.loop()->CancelTimer(cancelled);
    runner_.loop()->StartTimer(absl::ZeroDuration(), [&] { fired.push_back(0); });
  });
  done.Wait();
  EXPECT_THAT(fired, ElementsAre(0, 1, 2));
}

TEST_F(TransferTest, OneEnormousBodyDoesNotHoldUpTheOthers) {
  std::vector<TransferRequest> requests;
  requests.push_back(To("/endless-body"));
  requests.back().body_limit = 64u << 20;
  for (int i = 0; i < 50; ++i) requests.push_back(To("/ok"));
  const auto results = runner_.RunAll(std::move(requests));
  EXPECT_EQ(Name(results[0].reason), "body_too_large");
  EXPECT_EQ(results[0].body.size(), 64u << 20);
  for (size_t i = 1; i < results.size(); ++i) {
    EXPECT_EQ(results[i].body, "hello") << results[i].message;
    EXPECT_LT(results[i].times.total, results[0].times.total);
  }
}

TEST_F(TransferTest, IpLiteralsOfVersion6AreReached) {
  auto server = ScriptedServer::Start({.ipv6 = true});
  const TransferResult result = runner_.Run(Get(server->Url("/ok")));
  EXPECT_EQ(result.body, "hello") << result.message;
  EXPECT_EQ(result.address, "::1");
}

}  // namespace
}  // namespace picket
