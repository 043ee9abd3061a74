// File: transfer.h
//
// One HTTP transfer: one request, one response, no redirect followed, every phase
// measured. This is the seam between what is asked (the attempt) and how it reaches
// the network (libcurl, c-ares, OpenSSL).
//
// Thread rule: requests and results are plain values. TransferLoop::Post is safe from
// any thread; everything else belongs to the loop's own thread.

#ifndef AGENT_ENGINE_TRANSFER_H_
#define AGENT_ENGINE_TRANSFER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "picket/v1/result.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// Certificates and keys as PEM; null = none. Shared by all executions of a test.
struct TlsOptions {
  bool verify = true;
  std::shared_ptr<const std::string> ca;
  std::shared_ptr<const std::string> cert;
  std::shared_ptr<const std::string> key;
  std::string min_version;  // "1.0" .. "1.3", empty = 1.2
  std::string server_name;  // empty = the URL's host
};

struct TransferRequest {
  std::string method = "GET";
  // Absolute, http or https, already encoded.
  std::string url;
  // In order, as they go out; the loop adds Host, Content-Length, Accept-Encoding
  // (when compressed) and Connection (when fresh) unless they are here.
  HeaderList headers;
  // Absent = no body; empty = a body of length 0.
  std::optional<std::string> body;
  v1::HttpCheck::HttpVersion http_version = v1::HttpCheck::AUTO;
  v1::HttpCheck::IpVersion ip_version = v1::HttpCheck::ANY;
  // host -> address, instead of DNS.
  std::map<std::string, std::string> resolve;
  // Empty = none; "http://host:port" or "socks5h://host:port".
  std::string proxy;
  TlsOptions tls;
  // Take a connection from the loop's pool and leave it there.
  bool reuse = false;
  // Further transfers of the session may want this connection: it is kept for them,
  // and no `Connection: close` is sent.
  bool more_follow = false;
  // Decode the response by its Content-Encoding.
  bool compressed = false;
  size_t body_limit = 1u << 20;
  // Digest credentials: answered when challenged (RFC 7616).
  std::optional<std::pair<std::string, std::string>> digest;
  // Relative to the start of the transfer. The transfer ends by then, with the reason
  // of the phase it was in.
  absl::Duration timeout = absl::Seconds(30);
};

// Microseconds of each phase; absent = it did not happen (or was not reached). The exchange of a
// digest challenge is time to the first byte, with what connection and handshake it took.
struct PhaseTimes {
  std::optional<uint32_t> dns, connect, tls, send, first_byte, transfer;
  uint32_t total = 0;
};

struct TransferResult {
  // none = a complete, well-formed response was received.
  v1::FailureReason::Value reason = v1::FailureReason::none;
  // The fault is ours (ports, files, memory): the attempt is inconclusive.
  bool inconclusive = false;
  // One sentence naming the peer. Empty without a failure.
  std::string message;

  int status = 0;            // 0 = no response
  std::string http_version;  // "1.0", "1.1", "2"
  std::string status_line;   // as received
  HeaderList headers;        // of the final response, in order
  std::string body;          // decoded; cut at body_limit
  uint64_t wire_body_bytes = 0;
  uint64_t bytes_up = 0, bytes_down = 0;
  std::string request_head;  // start line and headers as sent, for evidence
  PhaseTimes times;
  std::string address;  // "ip" used
  uint16_t port = 0;
  std::vector<std::string> addresses_tried;
  std::string tls_version, tls_cipher;
  std::vector<v1::Certificate> certificates;  // leaf first; also after a failed handshake
  bool reused = false;
  std::vector<std::string> warnings;
  // The longest time the loop did not turn while this was in flight.
  absl::Duration loop_stall;
};

// The connections of one attempt: its transfers share them, and nobody else does.
// Destroyed on the loop's thread, with no transfer in flight.
class TransferSession {
 public:
  virtual ~TransferSession() = default;
};

// One event loop on one thread.
class TransferLoop {
 public:
  struct Options {
    std::vector<std::string> dns_servers;
    std::string hosts_file;
    std::string ca_file;
  };
  using TransferId = uint64_t;
  using TimerId = uint64_t;
  using Done = absl::AnyInvocable<void(TransferResult)>;

  static absl::StatusOr<std::unique_ptr<TransferLoop>> Start(Options options);
  // Cancels everything (no callback runs any more) and joins the thread.
  virtual ~TransferLoop() = default;

  // Runs `work` on the loop's thread. Safe from any thread, the loop's own included.
  virtual void Post(absl::AnyInvocable<void()> work) = 0;

  // The rest: on the loop's thread only.
  virtual std::unique_ptr<TransferSession> NewSession() = 0;
  // `done` is called once, on a later turn of the loop, unless cancelled.
  // REQUIRES: `session` outlives the transfer.
  virtual TransferId StartTransfer(TransferSession* session, TransferRequest request,
                                   Done done) = 0;
  virtual void CancelTransfer(TransferId id) = 0;
  virtual TimerId StartTimer(absl::Duration delay, absl::AnyInvocable<void()> fire) = 0;
  virtual void CancelTimer(TimerId id) = 0;

  // Monotonic time, read once per turn.
  virtual absl::Duration Now() = 0;
  // Longest turn since the last call.
  virtual absl::Duration TakeLoopLag() = 0;
};

}  // namespace picket

#endif  // AGENT_ENGINE_TRANSFER_H_
