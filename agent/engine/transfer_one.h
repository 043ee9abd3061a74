// File: transfer_one.h
//
// One transfer from name to last byte: resolve, connect, hand the socket to libcurl,
// watch, judge what came, and tell. Every end goes through Complete, once.
//
// Thread rule: thread-compatible; the loop's own thread.

#ifndef AGENT_ENGINE_TRANSFER_ONE_H_
#define AGENT_ENGINE_TRANSFER_ONE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/engine/decode.h"
#include "agent/engine/dns_resolver.h"
#include "agent/engine/loop.h"
#include "agent/engine/tls_handshake.h"
#include "agent/engine/tls_store.h"
#include "agent/engine/transfer.h"
#include "agent/engine/transfer_connect.h"
#include "agent/engine/transfer_curl.h"
#include "agent/engine/transfer_head.h"
#include "agent/engine/transfer_pool.h"
#include "agent/engine/transfer_url.h"

namespace picket {

// What all transfers of a loop share. Outlives them.
struct TransferContext {
  EventLoop* loop = nullptr;
  DnsResolver* dns = nullptr;
  TlsStores* tls = nullptr;
  CurlCore* curl = nullptr;
  PartitionMap* pool = nullptr;  // of `reuse`
  // Called once by each transfer, with its id, when its result is ready.
  absl::AnyInvocable<void(uint64_t)> finished;
  // Asks for Transfer::Resume on the next turn.
  absl::AnyInvocable<void(uint64_t)> resume;
};

class Transfer : private CurlUser {
 public:
  // `session` outlives the transfer.
  Transfer(TransferContext* context, uint64_t id, PartitionMap* session, TransferRequest request);
  ~Transfer() override;

  void Start();
  // Goes on with a body that was held back for the others' sake.
  void Resume();

  TransferResult TakeResult() { return std::move(result_); }

 private:
  enum class Stage { kResolving, kConnecting, kTalking, kDecoding };

  // Setting out (transfer_setup.cc). False = Complete was called.
  bool Prepare();
  bool PrepareTls();
  bool CheckRequest();
  std::string ConnectionKey() const;
  void Resolve();
  void OnAddresses(DnsUpdate update);
  bool TakePooled(const std::vector<IpAddress>& addresses);
  bool Claim(std::shared_ptr<Partition> partition);
  void OnConnected(ConnectOutcome outcome);
  void Talk();
  void SetOptions();
  void SetMethod();
  void SetHeaders();
  void SetRoute();

  // CurlUser.
  bool OnHeaderLine(const char* data, size_t size) override;
  size_t OnBody(const char* data, size_t size) override;
  void OnDebug(curl_infotype type, const char* data, size_t size) override;
  void OnUnwatchable() override;
  void OnReadable(int fd) override;
  // When bytes that libcurl hands over came.
  int64_t TakeArrived(size_t size, bool first);
  curl_socket_t OnOpenSocket(curl_sockaddr* address) override;
  CURLcode OnSslContext(void* ssl_ctx) override;
  void OnClosing(int fd, bool surplus) override;
  void OnDone(CURLcode code) override;

  // The body.
  bool StartBody();
  bool TakeBody(absl::string_view* data);
  bool turn_spent();
  void CheckTlsSurplus();
  void CheckKeptSurplus();

  // The end.
  void OnDeadline();
  void Judge(CURLcode code);
  void JudgeComplete();
  void JudgeError(CURLcode code);
  void Fail(v1::FailureReason::Value reason, std::string message, bool inconclusive = false);
  void Complete();
  void CollectFacts();
  void CollectTimes();
  void CollectSocket();
  v1::FailureReason::Value DeadlineReason(std::string* doing) const;
  bool all_sent() const;
  // Whether the body has no other end than the connection's.
  bool until_close() const;
  // "host:port", with the address where it is known.
  std::string Peer() const;

  TransferContext* const context_;
  const uint64_t id_;
  PartitionMap* const session_;
  TransferRequest request_;
  TransferResult result_;
  UrlTarget target_;
  ProxyTarget proxy_;
  bool proxied_ = false;

  Stage stage_ = Stage::kResolving;
  bool finished_ = false;
  LoopTimers::Id deadline_ = 0;
  std::unique_ptr<DnsLookup> lookup_;
  std::unique_ptr<Connector> connector_;

  std::unique_ptr<CurlHandle> handle_;
  bool added_ = false;
  curl_slist* headers_ = nullptr;
  curl_slist* route_ = nullptr;
  std::shared_ptr<Partition> partition_;  // null = a connection of our own
  uint64_t route_number_ = 0;             // of the connection; 0 = used once
  bool claimed_ = false;                  // it was open already
  int handed_fd_ = -1;                    // connected by us, not yet taken by libcurl
  int fd_ = -1;                           // what libcurl uses
  bool acknowledges_late_ = false;        // until the request's head is sent
  bool refused_again_ = false;            // libcurl wanted to send the request a second time
  IpAddress address_;
  uint16_t port_ = 0;
  TlsSetup tls_setup_;
  std::shared_ptr<TlsHandshake> tls_;

  ResponseHead head_;
  std::unique_ptr<Decoder> decoder_;
  bool body_begun_ = false;
  std::string held_;        // wire bytes to decode on a later turn
  bool undrained_ = false;  // the decoder has more to give, out of held_ or itself
  bool paused_ = false;
  bool resuming_ = false;
  bool done_pending_ = false;  // libcurl is done, the decoder is not
  bool surplus_ = false;
  bool answered_ = false;   // bytes came, if no whole line of a head
  bool padded_ = false;     // more framing than body came
  bool unwatched_ = false;
  uint64_t raw_bytes_ = 0;  // of the body, its framing included
  int64_t turn_ns_ = 0;     // the turn that turn_bytes_ belongs to
  size_t turn_bytes_ = 0;

  // Monotonic nanoseconds; 0 = not reached.
  int64_t start_ns_ = 0, dns_end_ns_ = 0, connect_start_ns_ = 0, connect_end_ns_ = 0;
  int64_t send_end_ns_ = 0, first_byte_ns_ = 0, last_byte_ns_ = 0, end_ns_ = 0;
  // What waited on the socket when it was last seen, as far as it is not yet taken.
  struct {
    size_t bytes = 0;
    int64_t first_ns = 0, last_ns = 0;
    bool all = false;  // there was no more
  } came_;
  // Sent again after a challenge: that one's exchange is time to the first byte, with what
  // connection and handshake it took.
  bool repeated_ = false;
  std::shared_ptr<TlsHandshake> challenged_tls_;  // of the connection that the challenge ended
  bool dns_asked_ = false;
  bool head_sent_ = false;
  uint64_t body_sent_ = 0;
};

}  // namespace picket

#endif  // AGENT_ENGINE_TRANSFER_ONE_H_
