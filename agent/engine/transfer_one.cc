// What libcurl tells a transfer while it runs.

#include "agent/engine/transfer_one.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/engine/arrival.h"
#include "agent/engine/limits.h"

namespace picket {
namespace {

using Reason = v1::FailureReason;

bool IsSafe(absl::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

}  // namespace

curl_socket_t Transfer::OnOpenSocket(curl_sockaddr* address) {
  int fd = std::exchange(handed_fd_, -1);
  if (fd < 0) {
    // libcurl wants a further connection. Be no kinder than the network: only if none of
    // the request went out on an idle connection that had died, or it may be repeated
    // there, or the server challenged us and closed.
    const bool died = claimed_ && !head_.begun() && (!head_sent_ || IsSafe(request_.method));
    const bool challenged = request_.digest.has_value() && head_.status() == 401;
    if (!died && !challenged) {
      refused_again_ = true;
      return CURL_SOCKET_BAD;
    }
    fd = socket(address_.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      result_.reason = Reason::agent_resources;
      result_.inconclusive = true;
      result_.message = absl::StrCat("The agent could not open a connection to ", Peer(), ": ",
                                     strerror(errno), ".");
      return CURL_SOCKET_BAD;
    }
    StampArrivals(fd);
    claimed_ = false;
    result_.reused = false;
    surplus_ = false;
    result_.request_head.clear();
    head_sent_ = false;
    body_sent_ = 0;
    if (challenged) {
      repeated_ = true;
      challenged_tls_ = std::move(tls_);
    } else {
      connect_start_ns_ = EventLoop::ReadClockNs();
      connect_end_ns_ = 0;
    }
    tls_.reset();
  }
  sockaddr_storage to;
  address->addrlen = FillSockaddr(address_, port_, &to);
  address->family = to.ss_family;
  address->socktype = SOCK_STREAM;
  address->protocol = IPPROTO_TCP;
  // libcurl keeps the address in a space that holds every family.
  std::memcpy(static_cast<void*>(&address->addr), &to, address->addrlen);
  fd_ = fd;
  OpenSocket* socket = context_->curl->Register(fd, this);
  socket->partition = partition_;
  socket->route = route_number_;
  socket->address = address_;
  socket->port = port_;
  return fd;
}

CURLcode Transfer::OnSslContext(void* ssl_ctx) {
  tls_ = std::make_shared<TlsHandshake>(tls_setup_);
  if (OpenSocket* socket = context_->curl->Find(fd_)) socket->tls = tls_;
  return tls_->Configure(static_cast<SSL_CTX*>(ssl_ctx)) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

void Transfer::OnDebug(curl_infotype type, const char* data, size_t size) {
  switch (type) {
    case CURLINFO_HEADER_OUT: {
      // The CONNECT to a proxy is not the request.
      if (proxied_ && target_.https && (tls_ == nullptr || !tls_->done())) return;
      if (head_sent_) {  // a second request, after a challenge
        repeated_ = true;
        result_.request_head.clear();
        head_sent_ = false;
        body_sent_ = 0;
      }
      result_.request_head.append(data, size);
      head_sent_ = absl::EndsWith(result_.request_head, "\r\n\r\n");
      if (!repeated_) send_end_ns_ = EventLoop::ReadClockNs();
      if (std::exchange(acknowledges_late_, false)) AcknowledgeAtOnce(fd_);
      first_byte_ns_ = 0;
      if (connect_start_ns_ != 0 && connect_end_ns_ == 0) {
        connect_end_ns_ = tls_ != nullptr && tls_->start_ns() > connect_start_ns_ ? tls_->start_ns()
                                                                                  : send_end_ns_;
      }
      return;
    }
    case CURLINFO_DATA_OUT:
      if (!head_sent_) return;
      body_sent_ += size;
      if (!head_.complete() && !repeated_) send_end_ns_ = EventLoop::ReadClockNs();
      return;
    case CURLINFO_DATA_IN: {
      raw_bytes_ += size;
      last_byte_ns_ = TakeArrived(size, false);
      const EngineLimits& limits = DefaultEngineLimits();
      if (padded_ || raw_bytes_ <= limits.framing_bytes +
                                       limits.framing_per_body_byte * result_.wire_body_bytes) {
        return;
      }
      padded_ = true;  // libcurl cannot be stopped from here: at the end of the turn
      if (!resuming_) context_->resume(id_);
      resuming_ = true;
      return;
    }
    case CURLINFO_TEXT: {
      const absl::string_view text(data, size);
      if (absl::StartsWith(text, "Excess found") ||
          absl::StartsWith(text, "Leftovers after chunking")) {
        surplus_ = true;
      }
      return;
    }
    default:
      return;
  }
}

void Transfer::OnClosing(int fd, bool surplus) {
  surplus_ = surplus_ || surplus;
  if (head_.begun()) return;
  // Part of a status line: libcurl does not tell it from no answer at all.
  tcp_info info{};
  socklen_t length = sizeof(info);
  answered_ = !proxied_ && !result_.reused &&
              getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
              info.tcpi_bytes_received > 1;  // a FIN counts as one
}

void Transfer::OnUnwatchable() {
  unwatched_ = true;  // libcurl cannot be stopped from here: at the end of the turn
  if (!resuming_) context_->resume(id_);
  resuming_ = true;
}

void Transfer::OnReadable(int fd) {
  came_ = {};
  // What came of HTTP/2 may be frames of another kind.
  if (!head_sent_ || request_.http_version == v1::HttpCheck::HTTP_2) return;
  Arrival arrival;
  if (!ReadArrival(fd, arrival)) return;
  const int64_t now_ns = EventLoop::ReadClockNs();
  const auto place = [&](int64_t wall_ns) {
    const int64_t ns = context_->loop->FromWallNs(wall_ns);
    return ns == 0 ? now_ns : std::clamp(ns, std::min(send_end_ns_, now_ns), now_ns);
  };
  came_ = {arrival.bytes, place(arrival.first_ns), place(arrival.last_ns),
           arrival.bytes < EngineLimits::arrival_bytes};
}

int64_t Transfer::TakeArrived(size_t size, bool first) {
  if (size > came_.bytes) {  // read before it was seen, or more than was seen
    came_ = {};
    return EventLoop::ReadClockNs();
  }
  came_.bytes -= size;
  return first ? came_.first_ns : came_.last_ns;
}

bool Transfer::OnHeaderLine(const char* data, size_t size) {
  if (first_byte_ns_ == 0) {
    last_byte_ns_ = first_byte_ns_ = TakeArrived(size, true);
  } else {
    last_byte_ns_ = TakeArrived(size, false);
  }
  if (head_.Line(absl::string_view(data, size))) return true;
  result_.reason = head_.reason();
  result_.message =
      absl::StrCat("The response of ", Peer(), " is not acceptable: ", head_.problem(), ".");
  return false;
}

bool Transfer::turn_spent() {
  if (turn_ns_ != context_->loop->NowNs()) {
    turn_ns_ = context_->loop->NowNs();
    turn_bytes_ = 0;
  }
  return turn_bytes_ >= DefaultEngineLimits().decode_turn_bytes;
}

size_t Transfer::OnBody(const char* data, size_t size) {
  if (undrained_ || turn_spent()) {
    paused_ = true;
    if (!resuming_) context_->resume(id_);
    resuming_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  result_.wire_body_bytes += size;
  CheckTlsSurplus();
  if (!body_begun_ && !StartBody()) return 0;
  absl::string_view rest(data, size);
  if (!TakeBody(&rest)) return 0;
  if (undrained_) {
    held_.assign(rest.data(), rest.size());
    if (!resuming_) context_->resume(id_);
    resuming_ = true;
  }
  return size;
}

void Transfer::CheckTlsSurplus() {
  // libcurl reads no further than the length: what is left would never be seen.
  if (tls_ == nullptr || head_.version() == "2" || !head_.content_length().has_value()) return;
  if (result_.wire_body_bytes == *head_.content_length() && SSL_pending(tls_->ssl()) > 0) {
    surplus_ = true;
  }
}

bool Transfer::StartBody() {
  body_begun_ = true;
  if (!request_.compressed) return true;
  const std::vector<std::string> codings = head_.codings();
  if (codings.empty()) return true;
  auto decoder = Decoder::Create(codings);
  if (!decoder.ok()) {
    result_.reason = Reason::decode_error;
    result_.message = absl::StrCat("The body from ", Peer(),
                                   " cannot be decoded: ", decoder.status().message(), ".");
    return false;
  }
  decoder_ = *std::move(decoder);
  return true;
}

// Takes what this turn allows; leaves the rest in `*data`.
bool Transfer::TakeBody(absl::string_view* data) {
  std::string& body = result_.body;
  if (decoder_ == nullptr) {
    turn_bytes_ += data->size();
    const size_t room = request_.body_limit - body.size();
    body.append(data->data(), std::min(room, data->size()));
    if (data->size() > room) {
      result_.reason = Reason::body_too_large;
    } else {
      data->remove_prefix(data->size());
    }
  } else {
    undrained_ = true;
    while (!turn_spent()) {
      const size_t before = body.size();
      const size_t most = std::min(DefaultEngineLimits().decode_turn_bytes - turn_bytes_,
                                   request_.body_limit - before + 1);
      const Decoder::Result decoded = decoder_->Decode(data, most, &body);
      turn_bytes_ += body.size() - before;
      if (body.size() > request_.body_limit) {
        body.resize(request_.body_limit);
        result_.reason = Reason::body_too_large;
        break;
      }
      if (decoded == Decoder::Result::kBroken) {
        result_.reason = Reason::decode_error;
        result_.message = absl::StrCat("The body from ", Peer(), " is not valid ",
                                       absl::StrJoin(head_.codings(), ", "), " data.");
        return false;
      }
      if (decoded == Decoder::Result::kAllRead) {
        undrained_ = false;
        return true;
      }
    }
  }
  if (result_.reason == Reason::body_too_large) {
    result_.message = absl::StrCat("The body from ", Peer(), " is larger than ",
                                   request_.body_limit, " bytes (body_limit).");
    return false;
  }
  return true;
}

void Transfer::Resume() {
  resuming_ = false;
  if (finished_) return;
  if (unwatched_) {
    Fail(Reason::agent_resources,
         absl::StrCat("The agent cannot watch a connection to ", Peer(), "."), true);
    return;
  }
  if (padded_) {
    Fail(Reason::protocol_error,
         absl::StrCat("The response of ", Peer(),
                      " is not acceptable: its chunks are mostly framing."));
    return;
  }
  if (undrained_) {
    const std::string wire = std::exchange(held_, {});
    absl::string_view rest(wire);
    if (!TakeBody(&rest)) {
      Complete();
      return;
    }
    if (undrained_) {
      held_.assign(rest.data(), rest.size());
      resuming_ = true;
      context_->resume(id_);
      return;
    }
  }
  if (done_pending_) {
    JudgeComplete();
    Complete();
    return;
  }
  if (paused_) {
    paused_ = false;
    // What was held back is handed over within the call, and its refusal is told here
    // alone: libcurl would go on waiting.
    const CURLcode code = curl_easy_pause(handle_->easy, CURLPAUSE_CONT);
    if (code != CURLE_OK || result_.reason != Reason::none) {
      Judge(code);
      Complete();
    }
  }
}

void Transfer::OnDone(CURLcode code) {
  if (finished_) return;
  if (code == CURLE_OK && undrained_ && result_.reason == Reason::none) {
    stage_ = Stage::kDecoding;
    done_pending_ = true;
    if (!resuming_) context_->resume(id_);
    resuming_ = true;
    return;
  }
  if (code == CURLE_OK) CheckKeptSurplus();
  Judge(code);
  Complete();
}

void Transfer::CheckKeptSurplus() {
  // On a connection that stays open, bytes behind the response would be taken for the
  // next one's.
  const OpenSocket* socket = fd_ < 0 ? nullptr : context_->curl->Find(fd_);
  if (socket == nullptr || socket->user != this || socket->tls != nullptr ||
      head_.version() == "2") {
    return;
  }
  // All that was seen to wait has been taken; what came since is found by the next user.
  if (came_.all && came_.bytes == 0) return;
  char byte;
  if (recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) surplus_ = true;
}

}  // namespace picket
