#include "agent/engine/transfer_connect.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/engine/arrival.h"
#include "agent/engine/limits.h"

namespace picket {
namespace {

// How much an error says about the target; the largest is told.
int Weight(int error) {
  if (IsOwnResourceError(error)) return 5;
  switch (ReasonOfConnectError(error)) {
    case v1::FailureReason::connect_refused:
      return 4;
    case v1::FailureReason::connect_reset:
      return 3;
    case v1::FailureReason::connect_timeout:
      return 2;
    default:
      return 1;
  }
}

// EADDRNOTAVAIL means either that all ports towards the address are taken or that this
// machine has no address to come from; a UDP socket, which needs no port of that kind
// to itself, tells them apart.
bool HasSourceAddress(const IpAddress& address) {
  const int fd = socket(address.v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  sockaddr_storage to;
  const socklen_t length = FillSockaddr(address, 9, &to);
  const bool has = connect(fd, reinterpret_cast<sockaddr*>(&to), length) == 0;
  close(fd);
  return has;
}

std::string FailureText(const IpAddress& address, uint16_t port, int error) {
  const std::string peer = IpPortText(address, port);
  if (IsOwnResourceError(error)) {
    return absl::StrCat("The agent could not open a connection to ", peer, ": ", strerror(error),
                        ".");
  }
  switch (ReasonOfConnectError(error)) {
    case v1::FailureReason::connect_refused:
      return absl::StrCat("The connection to ", peer, " was refused.");
    case v1::FailureReason::connect_timeout:
      return absl::StrCat(peer, " did not answer the connection attempt.");
    case v1::FailureReason::connect_reset:
      return absl::StrCat("The connection to ", peer, " was reset.");
    default:
      return absl::StrCat("There is no way to ", peer, ": ", strerror(error), ".");
  }
}

}  // namespace

v1::FailureReason::Value ReasonOfConnectError(int error) {
  if (IsOwnResourceError(error)) return v1::FailureReason::agent_resources;
  switch (error) {
    case ECONNREFUSED:
      return v1::FailureReason::connect_refused;
    case ETIMEDOUT:
      return v1::FailureReason::connect_timeout;
    case ECONNRESET:
    case EPIPE:
      return v1::FailureReason::connect_reset;
    default:
      return v1::FailureReason::connect_unreachable;
  }
}

bool IsOwnResourceError(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
         error == EADDRNOTAVAIL || error == ENOSPC;
}

void AcknowledgeAtOnce(int fd) {
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof(yes));
}

Connector::Connector(EventLoop* loop, uint16_t port, bool speaks_at_once, Done done)
    : loop_(loop), port_(port), speaks_at_once_(speaks_at_once), done_(std::move(done)) {}

Connector::~Connector() {
  loop_->CancelTimer(stagger_);
  for (const Try& attempt : trying_) {
    loop_->Forget(attempt.fd);
    close(attempt.fd);
  }
}

void Connector::Add(const std::vector<IpAddress>& addresses) {
  waiting_.insert(waiting_.end(), addresses.begin(), addresses.end());
  if (trying_.empty() && !done_called_)
    TryNext();
  else
    ArmStagger();
}

void Connector::NoMore() {
  more_ = false;
  if (!done_called_ && trying_.empty() && next_ >= waiting_.size()) Lose();
}

void Connector::TryNext() {
  loop_->CancelTimer(stagger_);
  stagger_ = 0;
  const size_t most = 2 * DefaultEngineLimits().addresses;
  while (!done_called_ && next_ < waiting_.size() && tried_.size() < most) {
    const IpAddress address = waiting_[next_++];
    tried_.push_back(address);
    const int fd =
        socket(address.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      Failed(address, errno);
      continue;
    }
    StampArrivals(fd);
    if (speaks_at_once_) {
      const int no = 0;
      setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &no, sizeof(no));
    }
    sockaddr_storage to;
    const socklen_t length = FillSockaddr(address, port_, &to);
    // Called once only: libcurl calls connect() again on the socket, which answers 0
    // exactly once after a connection was made in the background.
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), length) != 0 && errno != EINPROGRESS) {
      const int error = errno;
      close(fd);
      Failed(address, error);
      continue;
    }
    trying_.push_back({fd, address});
    pollfd ready{fd, POLLOUT, 0};
    if (poll(&ready, 1, 0) == 1) {  // always so on loopback
      Settle(trying_.size() - 1, ready.revents != POLLOUT);
      if (done_called_ || trying_.empty()) continue;
      break;
    }
    if (!loop_->Watch(fd, EPOLLOUT, this).ok()) {
      trying_.pop_back();
      close(fd);
      Failed(address, ENOMEM);
      continue;
    }
    break;
  }
  if (done_called_) return;
  if (!trying_.empty()) {
    ArmStagger();
  } else if (!more_) {
    Lose();
  }
}

void Connector::ArmStagger() {
  if (done_called_ || stagger_ != 0 || next_ >= waiting_.size()) return;
  stagger_ =
      loop_->StartTimer(absl::ToInt64Nanoseconds(DefaultEngineLimits().connect_stagger), [this] {
        stagger_ = 0;
        TryNext();
      });
}

void Connector::OnReady(int fd, uint32_t events) {
  for (size_t i = 0; i < trying_.size(); ++i) {
    if (trying_[i].fd != fd) continue;
    Settle(i, events != EPOLLOUT);
    if (!done_called_ && trying_.empty()) TryNext();
    return;
  }
}

void Connector::Settle(size_t index, bool broken) {
  const Try attempt = trying_[index];
  trying_.erase(trying_.begin() + static_cast<ptrdiff_t>(index));
  int error = 0;
  socklen_t length = sizeof(error);
  if (broken) getsockopt(attempt.fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error == 0) {
    Win(attempt.fd, attempt.address);
    return;
  }
  loop_->Forget(attempt.fd);
  close(attempt.fd);
  Failed(attempt.address, error);
}

void Connector::Failed(const IpAddress& address, int error) {
  if (error == EADDRNOTAVAIL && !HasSourceAddress(address)) error = ENETUNREACH;
  if (error == ETIMEDOUT || error == EHOSTUNREACH) silent_.push_back(address);
  if (worst_error_ == 0 || Weight(error) > Weight(worst_error_)) {
    worst_error_ = error;
    worst_address_ = address;
  }
}

void Connector::Win(int fd, const IpAddress& address) {
  done_called_ = true;
  loop_->CancelTimer(stagger_);
  stagger_ = 0;
  loop_->Unwatch(fd);
  for (const Try& loser : trying_) {
    for (const IpAddress& tried : tried_) {
      if (tried == address) break;  // begun after the winner: it had no chance
      if (tried == loser.address) silent_.push_back(loser.address);
    }
    loop_->Forget(loser.fd);
    close(loser.fd);
  }
  trying_.clear();
  ConnectOutcome outcome;
  outcome.fd = fd;
  outcome.address = address;
  done_(std::move(outcome));
}

void Connector::Lose() {
  done_called_ = true;
  ConnectOutcome outcome;
  const int error = worst_error_ == 0 ? ENETUNREACH : worst_error_;
  outcome.reason = ReasonOfConnectError(error);
  outcome.inconclusive = IsOwnResourceError(error);
  outcome.message = FailureText(worst_address_, port_, error);
  done_(std::move(outcome));
}

}  // namespace picket
