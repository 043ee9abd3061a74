// What the packets of a plain HTTP connection look like from the server's side: the request
// carries the handshake's last ACK, and from then on the client acknowledges without delay.
//
// The kernel sends an ACK on its own if the thread that should have sent it was held up for
// long: each test looks at a number of connections and wants one on which nothing was.

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "gtest/gtest.h"
#include "tests/support/scripted_server.h"
#include "tests/unit/engine/transfer_test_util.h"

namespace picket {
namespace {

constexpr int kConnections = 50;

// Packets that the server had of its client when the request was there.
int Packets(int fd) {
  tcp_info info{};
  socklen_t length = sizeof(info);
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0
             ? static_cast<int>(info.tcpi_segs_in)
             : -1;
}

int Least(const std::vector<int>& seen) { return *std::min_element(seen.begin(), seen.end()); }

class HandshakeAckTest : public testing::Test {
 protected:
  HandshakeAckTest() : server_(ScriptedServer::Start()) {}

  // What `look` said of each request, in order.
  void Look(std::function<int(ScriptedConnection&)> look) {
    server_->On("/looked-at", [this, look](ScriptedConnection& c, const std::string&) {
      const int seen = look(c);
      MutexLock lock(&mu_);
      seen_.push_back(seen);
      changed_.Signal();
    });
  }
  // What was seen of the first `count` requests.
  std::vector<int> Seen(size_t count) {
    MutexLock lock(&mu_);
    while (seen_.size() < count) changed_.Wait(&mu_);
    return seen_;
  }

  Mutex mu_;
  CondVar changed_;
  std::vector<int> seen_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<ScriptedServer> server_;
  TransferRunner runner_;
};

TEST_F(HandshakeAckTest, TheRequestCarriesIt) {
  Look([](ScriptedConnection& c) {
    const int packets = Packets(c.fd());
    c.Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    return packets;
  });
  for (int i = 0; i < kConnections; ++i) {
    EXPECT_EQ(Name(runner_.Run(Get(server_->Url("/looked-at"))).reason), "none");
  }
  const int least = Least(Seen(kConnections));
  // One who connects and says nothing for a while shows what a bare ACK looks like.
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(server_->port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  const std::string request = "GET /looked-at HTTP/1.1\r\nHost: a\r\n\r\n";
  ASSERT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  char answer[256];
  while (read(fd, answer, sizeof(answer)) > 0) {
  }
  close(fd);
  EXPECT_EQ(least, Seen(kConnections + 1).back() - 1);
}

TEST_F(HandshakeAckTest, WhatIsAnsweredIsAcknowledgedAtOnce) {
  Look([](ScriptedConnection& c) {
    int unacknowledged = -1;
    c.Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n");
    if (ioctl(c.fd(), SIOCOUTQ, &unacknowledged) != 0) unacknowledged = -1;
    c.Write("\r\nok");
    return unacknowledged;
  });
  for (int i = 0; i < kConnections; ++i) {
    EXPECT_EQ(Name(runner_.Run(Get(server_->Url("/looked-at"))).reason), "none");
  }
  EXPECT_EQ(Least(Seen(kConnections)), 0);
}

}  // namespace
}  // namespace picket
