// File: transfer_connect.h
//
// TCP connections by Happy Eyeballs (RFC 8305): addresses are tried in order, a next
// one when the last failed or has not answered within 250 ms; the first to connect
// wins. Every address tried is recorded.
//
// Thread rule: thread-compatible; the loop's own thread.

#ifndef AGENT_ENGINE_TRANSFER_CONNECT_H_
#define AGENT_ENGINE_TRANSFER_CONNECT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "agent/engine/dns_address.h"
#include "agent/engine/loop.h"
#include "picket/v1/suite.pb.h"

namespace picket {

struct ConnectOutcome {
  // A connected, non-blocking socket that the receiver owns; -1 = failed.
  int fd = -1;
  IpAddress address;  // of `fd`
  // Without a socket: why, as one sentence.
  v1::FailureReason::Value reason = v1::FailureReason::none;
  bool inconclusive = false;  // out of files, ports or memory
  std::string message;
};

class Connector : private FdHandler {
 public:
  using Done = absl::AnyInvocable<void(ConnectOutcome)>;

  // `done` is called once, from OnReady, a timer, Add or NoMore.
  //
  // `speaks_at_once`: the receiver of the socket sends as soon as it has it, and then calls
  // AcknowledgeAtOnce. The handshake's last ACK waits for those bytes and travels with them
  // (RFC 9293, section 3.5, figure 6, lets it carry data): a packet less, and the server is
  // woken once. The kernel sends it alone after 200 ms if nothing else came.
  Connector(EventLoop* loop, uint16_t port, bool speaks_at_once, Done done);
  // Closes what is still being tried.
  ~Connector() override;

  // Further addresses, in the order to try them. Starts at once.
  void Add(const std::vector<IpAddress>& addresses);
  // No further Add: when all have failed, the whole has failed.
  void NoMore();

  // In order of trying.
  const std::vector<IpAddress>& tried() const { return tried_; }
  // Tried, and silent: still unanswered though begun before the winner, or given up by
  // the kernel. Complete once done.
  const std::vector<IpAddress>& silent() const { return silent_; }

 private:
  struct Try {
    int fd;
    IpAddress address;
  };

  void OnReady(int fd, uint32_t events) override;
  void TryNext();
  void Failed(const IpAddress& address, int error);
  void Settle(size_t index, bool broken);
  void Win(int fd, const IpAddress& address);
  void Lose();
  void ArmStagger();

  EventLoop* const loop_;
  const uint16_t port_;
  const bool speaks_at_once_;
  Done done_;
  std::vector<IpAddress> waiting_;  // not yet tried
  size_t next_ = 0;                 // in waiting_
  std::vector<Try> trying_;
  std::vector<IpAddress> tried_, silent_;
  int worst_error_ = 0;  // the most telling errno so far
  IpAddress worst_address_;
  bool more_ = true;
  bool done_called_ = false;
  LoopTimers::Id stagger_ = 0;
};

// Ends the delay of acknowledgements that `speaks_at_once` began. Without it the first
// bytes of the answer would be acknowledged late, and a server that waits for that (Nagle's
// algorithm, RFC 1122, section 4.2.3.4) would seem slower than it is to others.
void AcknowledgeAtOnce(int fd);

// The reason for a connect(2) that failed with `error`.
v1::FailureReason::Value ReasonOfConnectError(int error);
// Whether `error` is ours to answer for: files, ports, memory.
bool IsOwnResourceError(int error);

}  // namespace picket

#endif  // AGENT_ENGINE_TRANSFER_CONNECT_H_
