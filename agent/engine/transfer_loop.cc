// TransferLoop: the thread, the transfers in flight and the seam of transfer.h.

#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/transfer.h"
#include "agent/engine/transfer_one.h"
#include "common/base/log.h"

namespace picket {
namespace {

constexpr uint64_t kTurnsBetweenTidying = 4096;

// What a session needs of its loop, and whether that still lives.
struct Home {
  CurlCore* curl = nullptr;  // null once the loop is gone
};

class Session : public TransferSession {
 public:
  explicit Session(std::shared_ptr<Home> home) : home_(std::move(home)) {}

  ~Session() override {
    if (home_->curl == nullptr) return;
    for (const auto& [key, partition] : partitions_.all()) home_->curl->ShutIdle(partition.get());
  }

  PartitionMap* partitions() { return &partitions_; }

 private:
  const std::shared_ptr<Home> home_;
  PartitionMap partitions_;
};

class TransferLoopImpl : public TransferLoop {
 public:
  TransferLoopImpl(Options options, std::unique_ptr<EventLoop> loop)
      : options_(std::move(options)),
        loop_(std::move(loop)),
        tls_(options_.ca_file) {}

  ~TransferLoopImpl() override {
    loop_->Stop();
    // The thread is gone: this is the only one left.
    home_->curl = nullptr;
    flying_.clear();
    curl_.reset();
    dns_.reset();
  }

  absl::Status Init() {
    auto dns = DnsResolver::Create(loop_.get(), options_.dns_servers, options_.hosts_file);
    if (!dns.ok()) return dns.status();
    dns_ = *std::move(dns);
    auto curl = CurlCore::Create(loop_.get());
    if (!curl.ok()) return curl.status();
    curl_ = *std::move(curl);
    home_->curl = curl_.get();
    context_.loop = loop_.get();
    context_.dns = dns_.get();
    context_.tls = &tls_;
    context_.curl = curl_.get();
    context_.pool = &pool_;
    context_.finished = [this](TransferId id) { ended_.push_back(id); };
    context_.resume = [this](TransferId id) { resume_.push_back(id); };
    loop_->Start([this] { Warm(); }, [this] { AfterTurn(); },
                 [this] { return curl_->due() || !resume_.empty() || !ended_.empty(); });
    return absl::OkStatus();
  }

  void Post(absl::AnyInvocable<void()> work) override { loop_->Post(std::move(work)); }

  std::unique_ptr<TransferSession> NewSession() override {
    return std::make_unique<Session>(home_);
  }

  TransferId StartTransfer(TransferSession* session, TransferRequest request, Done done) override {
    const TransferId id = ++last_id_;
    auto transfer = std::make_unique<Transfer>(
        &context_, id, static_cast<Session*>(session)->partitions(), std::move(request));
    Transfer* raw = transfer.get();
    flying_.emplace(id, Flying{std::move(transfer), std::move(done)});
    raw->Start();
    return id;
  }

  void CancelTransfer(TransferId id) override { flying_.erase(id); }

  TimerId StartTimer(absl::Duration delay, absl::AnyInvocable<void()> fire) override {
    return loop_->StartTimer(absl::ToInt64Nanoseconds(delay), std::move(fire));
  }
  void CancelTimer(TimerId id) override { loop_->CancelTimer(id); }
  absl::Duration Now() override { return absl::Nanoseconds(loop_->NowNs()); }
  absl::Duration TakeLoopLag() override { return absl::Nanoseconds(loop_->TakeLagNs()); }

 private:
  struct Flying {
    std::unique_ptr<Transfer> transfer;
    Done done;
  };

  // What would otherwise stall the first check.
  void Warm() {
    UseUtf8Locale();
    auto store = SystemStore(options_.ca_file);
    if (!store.ok()) {
      Log(LogLevel::kError, "CA bundle cannot be used",
          {{"error", std::string(store.status().message())}});
    }
  }

  void AfterTurn() {
    std::vector<TransferId> resume = std::exchange(resume_, {});
    for (const TransferId id : resume) {
      const auto flying = flying_.find(id);
      if (flying != flying_.end()) flying->second.transfer->Resume();
    }
    curl_->Turn();
    Tell();
    // What those started goes out on this turn yet.
    if (curl_->due()) {
      curl_->Turn();
      Tell();
    }
    if (++turns_ % kTurnsBetweenTidying == 0) pool_.Tidy();
  }

  void Tell() {
    telling_.swap(ended_);
    for (const TransferId id : telling_) {
      const auto found = flying_.find(id);
      if (found == flying_.end()) continue;  // cancelled
      Flying flying = std::move(found->second);
      flying_.erase(found);
      TransferResult result = flying.transfer->TakeResult();
      flying.transfer.reset();
      flying.done(std::move(result));
    }
    telling_.clear();
  }

  const Options options_;
  const std::unique_ptr<EventLoop> loop_;
  const std::shared_ptr<Home> home_ = std::make_shared<Home>();
  std::unique_ptr<DnsResolver> dns_;
  std::unique_ptr<CurlCore> curl_;

  // The loop's thread only.
  TlsStores tls_;
  PartitionMap pool_;
  TransferContext context_;
  TransferId last_id_ = 0;
  absl::flat_hash_map<TransferId, Flying> flying_;
  std::vector<TransferId> ended_, telling_, resume_;
  uint64_t turns_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TransferLoop>> TransferLoop::Start(Options options) {
  auto loop = EventLoop::Create();
  if (!loop.ok()) return loop.status();
  auto impl = std::make_unique<TransferLoopImpl>(std::move(options), *std::move(loop));
  if (absl::Status status = impl->Init(); !status.ok()) return status;
  return impl;
}

}  // namespace picket
