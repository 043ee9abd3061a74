// How a transfer ends: which reason an end has, and what is told of it.

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/engine/transfer_one.h"

namespace picket {
namespace {

using Reason = v1::FailureReason;

uint32_t Micros(int64_t from_ns, int64_t to_ns) {
  return to_ns <= from_ns
             ? 0
             : static_cast<uint32_t>(std::min<int64_t>((to_ns - from_ns + 500) / 1000, 0xffffffff));
}

// The connection broke, as OpenSSL's errors tell it through libcurl.
bool TlsBrokeOff(absl::string_view error) {
  return absl::StrContains(error, "SSL_ERROR_SYSCALL") ||
         absl::StrContains(error, "reset by peer") || absl::StrContains(error, "unexpected eof") ||
         absl::StrContains(error, "Broken pipe") ||
         absl::StrContains(error, "SSL_ERROR_ZERO_RETURN") || error.empty();
}

std::string Because(absl::string_view error) {
  absl::ConsumeSuffix(&error, ".");
  return error.empty() ? "" : absl::StrCat(": ", absl::CHexEscape(error.substr(0, 200)));
}

}  // namespace

std::string Transfer::Peer() const {
  const bool named = !ParseIp(target_.host).has_value();
  if (proxied_) {
    return absl::StrCat(target_.host, ":", target_.port, " (by proxy ", proxy_.host, ":",
                        proxy_.port, ")");
  }
  if (fd_ >= 0 || handed_fd_ >= 0) {
    const std::string at = IpPortText(address_, port_);
    return named ? absl::StrCat(target_.host, ":", target_.port, " (", at, ")") : at;
  }
  return absl::StrCat(target_.host, ":", target_.port);
}

bool Transfer::all_sent() const {
  return head_sent_ && (!request_.body.has_value() || body_sent_ >= request_.body->size());
}

bool Transfer::until_close() const {
  return head_.version() != "2" && request_.method != "HEAD" && head_.status() != 204 &&
         head_.status() != 304 && !head_.chunked() && !head_.content_length().has_value();
}

v1::FailureReason::Value Transfer::DeadlineReason(std::string* doing) const {
  switch (stage_) {
    case Stage::kResolving:
      *doing = absl::StrCat("No DNS server answered for ", proxied_ ? proxy_.host : target_.host);
      return Reason::dns_timeout;
    case Stage::kConnecting:
      *doing = absl::StrCat(Peer(), " did not accept a connection");
      return Reason::connect_timeout;
    case Stage::kDecoding:
      *doing = absl::StrCat("The response of ", Peer(), " did not end");
      return Reason::timeout_transfer;
    case Stage::kTalking:
      break;
  }
  if (target_.https && (tls_ == nullptr || !tls_->done())) {
    if (proxied_ && (tls_ == nullptr || !tls_->started())) {
      *doing = absl::StrCat("The proxy ", proxy_.host, ":", proxy_.port, " did not connect to ",
                            target_.host, ":", target_.port);
      return Reason::connect_timeout;
    }
    *doing = absl::StrCat("The TLS handshake with ", Peer(), " did not end");
    return Reason::tls_timeout;
  }
  if (proxied_ && proxy_.socks && !head_sent_ && result_.request_head.empty()) {
    *doing = absl::StrCat("The proxy ", proxy_.host, ":", proxy_.port, " did not connect to ",
                          target_.host, ":", target_.port);
    return Reason::connect_timeout;
  }
  if (head_.begun()) {
    *doing = absl::StrCat("The response of ", Peer(), " did not end");
    return Reason::timeout_transfer;
  }
  if (!all_sent()) {
    *doing = absl::StrCat(Peer(), " did not take the request");
    return Reason::timeout_send;
  }
  *doing = absl::StrCat(Peer(), " sent no response");
  return Reason::timeout_first_byte;
}

void Transfer::OnDeadline() {
  deadline_ = 0;
  if (finished_) return;
  std::string doing;
  const Reason::Value reason = DeadlineReason(&doing);
  if (stage_ == Stage::kConnecting && connector_ != nullptr) {
    for (const IpAddress& tried : connector_->tried()) {
      result_.warnings.push_back(absl::StrCat("address_unreachable ", IpText(tried)));
    }
  }
  Fail(reason, absl::StrCat(doing, " within ", absl::FormatDuration(request_.timeout), "."));
}

void Transfer::Fail(v1::FailureReason::Value reason, std::string message, bool inconclusive) {
  result_.reason = reason;
  result_.message = std::move(message);
  result_.inconclusive = inconclusive;
  Complete();
}

void Transfer::Judge(CURLcode code) {
  if (result_.reason != Reason::none) return;  // found while it ran
  if (code == CURLE_OK)
    JudgeComplete();
  else
    JudgeError(code);
}

void Transfer::JudgeComplete() {
  const auto refuse = [this](absl::string_view problem) {
    result_.reason = Reason::protocol_error;
    result_.message =
        absl::StrCat("The response of ", Peer(), " is not acceptable: ", problem, ".");
  };
  if (!head_.complete()) {
    refuse("it ends within its header");
  } else if (surplus_) {
    refuse("more bytes came than it announces");
  } else if (until_close() && tls_ != nullptr && !tls_->close_notify()) {
    // RFC 9112, section 9.8: what ends with the connection must end in good order.
    refuse("its body ends with the connection, which TLS was not told of");
  } else if (decoder_ != nullptr && !decoder_->complete()) {
    refuse("its compressed body is cut off");
  } else if (request_.http_version == v1::HttpCheck::HTTP_2 && head_.version() != "2") {
    refuse(absl::StrCat("it is HTTP/", head_.version(), ", not HTTP/2"));
  } else if (target_.https && tls_ != nullptr && tls_->alert() >= 0 &&
             tls_->certificate_requested()) {
    result_.reason = tls_->Reason(Peer(), &result_.message);
  }
}

void Transfer::JudgeError(CURLcode code) {
  absl::string_view error(handle_->error);
  const auto set = [this](Reason::Value reason, std::string message, bool inconclusive = false) {
    result_.reason = reason;
    result_.message = std::move(message);
    result_.inconclusive = inconclusive;
  };
  if (code == CURLE_OUT_OF_MEMORY && all_sent() && !head_.complete()) {
    // What libcurl says of a single header line beyond CURL_MAX_HTTP_HEADER.
    set(Reason::headers_too_large,
        absl::StrCat("The response header of ", Peer(), " has a line of more than 100 KiB."));
    return;
  }
  if (code == CURLE_OUT_OF_MEMORY) {
    set(Reason::agent_resources, "The agent is out of memory.", true);
    return;
  }
  if (code == CURLE_URL_MALFORMAT) {
    set(Reason::request_invalid, absl::StrCat("The URL cannot be used", Because(error), "."));
    return;
  }
  if (refused_again_) {
    if (head_.begun() || code == CURLE_HTTP2_STREAM) {
      set(Reason::protocol_error, absl::StrCat(Peer(), " broke the response off."));
    } else if (!claimed_ && !result_.reused) {
      // On its first connection libcurl tries again for this reason alone.
      set(Reason::protocol_error, absl::StrCat(Peer(), " refused the HTTP/2 stream."));
    } else {
      set(Reason::connect_reset,
          absl::StrCat(Peer(), " closed the connection before it answered."));
    }
    return;
  }
  const bool handshaking = target_.https && (tls_ == nullptr || !tls_->done());
  if (proxied_ && (code == CURLE_PROXY || code == CURLE_COULDNT_CONNECT ||
                   code == CURLE_COULDNT_RESOLVE_PROXY ||
                   (handshaking && (tls_ == nullptr || !tls_->started())) ||
                   (proxy_.socks && result_.request_head.empty() && !target_.https))) {
    // It was connected; libcurl's own words name a place that stands for the connection.
    if (code == CURLE_COULDNT_CONNECT) error = "it closed the connection at once";
    set(Reason::proxy_error,
        absl::StrCat("The proxy ", proxy_.host, ":", proxy_.port, " did not connect to ",
                     target_.host, ":", target_.port, Because(error), "."));
    return;
  }
  if (tls_ != nullptr && !head_.begun()) {
    std::string message;
    const Reason::Value reason = tls_->Reason(Peer(), &message);
    if (reason != Reason::none) {
      set(reason, std::move(message));
      return;
    }
  }
  if (handshaking && code != CURLE_COULDNT_CONNECT) {
    if (TlsBrokeOff(error)) {
      set(Reason::connect_reset,
          absl::StrCat(Peer(), " closed the connection during the TLS handshake."));
    } else {
      set(Reason::tls_protocol,
          absl::StrCat("The TLS handshake with ", Peer(), " failed", Because(error), "."));
    }
    return;
  }
  switch (code) {
    case CURLE_COULDNT_CONNECT: {
      long error_number = 0;
      curl_easy_getinfo(handle_->easy, CURLINFO_OS_ERRNO, &error_number);
      const int number = static_cast<int>(error_number);
      set(ReasonOfConnectError(number),
          absl::StrCat("The connection to ", Peer(), " could not be made again."),
          IsOwnResourceError(number));
      return;
    }
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_AGAIN:
      if (!head_.begun() && !answered_) {
        set(Reason::connect_reset,
            absl::StrCat(Peer(), " closed the connection before it answered."));
      } else {
        set(Reason::protocol_error,
            absl::StrCat("The response of ", Peer(), " broke off", Because(error), "."));
      }
      return;
    case CURLE_PARTIAL_FILE:
      set(Reason::protocol_error,
          absl::StrCat("The response of ", Peer(), " is cut off", Because(error), "."));
      return;
    case CURLE_WRITE_ERROR:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP_RETURNED_ERROR:
      set(Reason::protocol_error,
          absl::StrCat("What ", Peer(), " sent is not HTTP", Because(error), "."));
      return;
    case CURLE_SSL_CERTPROBLEM:
      set(Reason::request_invalid, "The client certificate cannot be used.");
      return;
    default:
      set(Reason::agent_error,
          absl::StrCat("The request to ", Peer(), " could not be made: ", curl_easy_strerror(code),
                       "."),
          true);
  }
}

void Transfer::Complete() {
  if (finished_) return;
  finished_ = true;
  end_ns_ = EventLoop::ReadClockNs();
  context_->loop->CancelTimer(deadline_);
  deadline_ = 0;
  CollectFacts();
  CollectTimes();
  CollectSocket();
  result_.loop_stall = absl::Nanoseconds(context_->loop->LongestStallNs(start_ns_));
  context_->finished(id_);
}

void Transfer::CollectFacts() {
  if (head_.begun()) {
    result_.status = head_.status();
    result_.http_version = head_.version();
    result_.status_line = head_.status_line();
    result_.headers = std::move(head_.fields());
  }
  if (connector_ != nullptr) {
    for (const IpAddress& tried : connector_->tried()) {
      result_.addresses_tried.push_back(IpText(tried));
    }
  }
  if (fd_ >= 0 || handed_fd_ >= 0) {
    result_.address = IpText(address_);
    result_.port = port_;
  }
  if (tls_ != nullptr) {
    result_.tls_version = tls_->facts().version;
    result_.tls_cipher = tls_->facts().cipher;
    result_.certificates = tls_->facts().certificates;
  }
  if (!added_) return;
  long head_up = 0, head_down = 0;
  curl_off_t body_up = 0;
  curl_easy_getinfo(handle_->easy, CURLINFO_REQUEST_SIZE, &head_up);
  curl_easy_getinfo(handle_->easy, CURLINFO_HEADER_SIZE, &head_down);
  curl_easy_getinfo(handle_->easy, CURLINFO_SIZE_UPLOAD_T, &body_up);
  result_.bytes_up = static_cast<uint64_t>(head_up) + static_cast<uint64_t>(body_up);
  result_.bytes_down = static_cast<uint64_t>(head_down) + result_.wire_body_bytes;
}

void Transfer::CollectTimes() {
  PhaseTimes& times = result_.times;
  // A body that ends with the connection ends when that is seen; any other with its
  // last byte, however long the loop then took to hear of it.
  const bool ended = result_.reason == Reason::none && last_byte_ns_ != 0 &&
                     (head_.chunked() || head_.content_length().has_value());
  const int64_t end_ns = ended ? last_byte_ns_ : end_ns_;
  if (dns_end_ns_ != 0) times.dns = Micros(start_ns_, dns_end_ns_);
  if (connect_start_ns_ != 0 && connect_end_ns_ != 0) {
    times.connect = Micros(connect_start_ns_, connect_end_ns_);
  }
  int64_t ready_ns = std::max({start_ns_, dns_end_ns_, connect_end_ns_});
  const TlsHandshake* tls = challenged_tls_ != nullptr ? challenged_tls_.get() : tls_.get();
  if (tls != nullptr && !result_.reused && tls->done()) {
    times.tls = Micros(tls->start_ns(), tls->done_ns());
    ready_ns = std::max(ready_ns, tls->done_ns());
  }
  if (send_end_ns_ != 0 && all_sent()) times.send = Micros(ready_ns, send_end_ns_);
  if (first_byte_ns_ != 0) {
    times.first_byte = Micros(send_end_ns_, first_byte_ns_);
    if (head_.complete()) times.transfer = Micros(first_byte_ns_, end_ns);
  }
  times.total = Micros(start_ns_, end_ns);
}

void Transfer::CollectSocket() {
  OpenSocket* socket = fd_ < 0 ? nullptr : context_->curl->Find(fd_);
  if (socket != nullptr && socket->user != this) socket = nullptr;
  // Nobody is to be told, or to wait, when the rest is given up.
  if (socket != nullptr && result_.reason != Reason::none) socket->user = nullptr;
  if (added_) {
    context_->curl->Remove(handle_.get());
    added_ = false;
  }
  if (handle_ != nullptr) {
    handle_->user = nullptr;
    context_->curl->Give(std::move(handle_));
  }
  // What libcurl has not closed by now it keeps for the next.
  socket = fd_ < 0 ? nullptr : context_->curl->Find(fd_);
  if (socket == nullptr || (socket->user != this && socket->user != nullptr)) return;
  if (result_.reason == Reason::none) {
    context_->curl->MarkIdle(fd_, socket);
  } else {
    socket->user = nullptr;
    context_->curl->Kill(fd_);
  }
}

}  // namespace picket
