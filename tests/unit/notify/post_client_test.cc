#include "coordinator/notify/post_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/support/scripted_server.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class PostClientTest : public ::testing::Test {
 protected:
  void Answers(const std::string& path, const std::string& answer) {
    server_->On(path, [answer](ScriptedConnection& connection, const std::string&) {
      connection.Write(answer);
    });
  }
  PostClient::Done Post(const std::string& url, absl::Duration timeout = absl::Seconds(20)) {
    const uint64_t id =
        client_->Start({.url = url, .headers = {"webhook-id: x"}, .body = "{}", .timeout = timeout});
    std::vector<PostClient::Done> done;
    while (done.empty()) done = client_->Wait(absl::Seconds(10));
    EXPECT_EQ(done[0].id, id);
    return done[0];
  }

  std::unique_ptr<ScriptedServer> server_ = ScriptedServer::Start();
  std::unique_ptr<PostClient> client_ = MakePostClient();
};

TEST_F(PostClientTest, SendsTheBodyWithItsHeadersAtOnce) {
  std::string body;
  server_->On("/hook", [&](ScriptedConnection& connection, const std::string&) {
    body = connection.ReadBytes(2);
    connection.Write("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
  });
  EXPECT_EQ(Post(server_->Url("/hook")).status, 204);
  EXPECT_EQ(body, "{}");
  ASSERT_THAT(server_->requests(), SizeIs(1));
  EXPECT_THAT(server_->requests()[0],
              AllOf(StartsWith("POST /hook HTTP/1.1\r\n"), HasSubstr("webhook-id: x\r\n"),
                    HasSubstr("Content-Length: 2\r\n"), Not(HasSubstr("Expect:"))));
}

TEST_F(PostClientTest, FollowsNoRedirect) {
  Answers("/there", absl::StrCat("HTTP/1.1 307 Temporary Redirect\r\nLocation: ",
                                 server_->Url("/elsewhere"), "\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_EQ(Post(server_->Url("/there")).status, 307);
  EXPECT_THAT(server_->requests(), SizeIs(1));
}

TEST_F(PostClientTest, WhoNeverAnswersIsLeftAtTheDeadline) {
  server_->On("/never", [](ScriptedConnection& connection, const std::string&) {
    connection.WaitForClient();
    connection.WaitForClient();
  });
  const PostClient::Done done = Post(server_->Url("/never"), absl::Milliseconds(200));
  EXPECT_EQ(done.status, 0);
  EXPECT_THAT(done.error, HasSubstr("timed out"));
  const BlackHole hole(false);
  EXPECT_EQ(Post(absl::StrCat("http://127.0.0.1:", hole.port(), "/"), absl::Milliseconds(200)).status,
            0);
}

TEST_F(PostClientTest, TheStatusCountsEvenIfTheBodyNeverEnds) {
  server_->On("/endless", [](ScriptedConnection& connection, const std::string&) {
    connection.Write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    connection.WriteRepeatedly(std::string(16'384, 'x'), 1'000'000);
  });
  EXPECT_EQ(Post(server_->Url("/endless")).status, 200);
  server_->On("/stuck", [](ScriptedConnection& connection, const std::string&) {
    connection.Write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    connection.WaitForClient();
    connection.WaitForClient();
  });
  EXPECT_EQ(Post(server_->Url("/stuck"), absl::Milliseconds(300)).status, 200);
}

TEST_F(PostClientTest, AnEndlessHeadIsAFailure) {
  server_->On("/head", [](ScriptedConnection& connection, const std::string&) {
    connection.Write("HTTP/1.1 100 Continue\r\n\r\n");
    connection.WriteRepeatedly("HTTP/1.1 102 Processing\r\nX: y\r\n\r\n", 1'000'000);
  });
  const PostClient::Done done = Post(server_->Url("/head"));
  EXPECT_EQ(done.status, 0);
  EXPECT_THAT(done.error, Not(IsEmpty()));
}

TEST_F(PostClientTest, SaysWhyThereIsNoAnswer) {
  const PostClient::Done refused = Post(absl::StrCat("http://127.0.0.1:", UnusedPort(), "/"));
  EXPECT_EQ(refused.status, 0);
  EXPECT_THAT(refused.error, Not(IsEmpty()));
  Answers("/garbage", "this is no HTTP\r\n\r\n");
  EXPECT_EQ(Post(server_->Url("/garbage")).status, 0);
}

TEST_F(PostClientTest, ACertificateThatNobodySignedIsRefused) {
  const TestIdentity identity = MakeTestCertificate({});
  const auto tls = ScriptedServer::Start({.identity = &identity});
  EXPECT_EQ(Post(tls->Url("/hook")).status, 0);
  EXPECT_THAT(tls->requests(), IsEmpty());
}

TEST_F(PostClientTest, ReadsHowLongItIsAskedToWait) {
  Answers("/busy", "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n");
  const PostClient::Done done = Post(server_->Url("/busy"));
  EXPECT_EQ(done.status, 503);
  EXPECT_EQ(done.retry_after, absl::Seconds(120));
}

TEST_F(PostClientTest, WakeEndsAWait) {
  std::thread waker([this] { client_->Wake(); });
  EXPECT_THAT(client_->Wait(absl::Hours(1)), IsEmpty());
  waker.join();
}

TEST_F(PostClientTest, MayGoWhileRequestsAreUnderWay) {
  server_->On("/never", [](ScriptedConnection& connection, const std::string&) {
    connection.WaitForClient();
    connection.WaitForClient();
  });
  for (int i = 0; i < 5; ++i) {
    client_->Start({.url = server_->Url("/never"), .headers = {}, .body = "{}",
                    .timeout = absl::Minutes(1)});
  }
  client_->Wait(absl::Milliseconds(10));
  client_.reset();
}

}  // namespace
}  // namespace picket
