#include <deque>

#include "agent/session/limits.h"
#include "agent/session/spool.h"

namespace picket {
namespace {

class MemorySpool : public Spool {
 public:
  MemorySpool(std::string id, size_t bytes_most) : id_(std::move(id)), bytes_most_(bytes_most) {}

  const std::string& id() const override { return id_; }

  uint64_t Append(const v1::LeaseResults& result) override {
    records_.push_back({++last_, result.SerializeAsString()});
    bytes_ += records_.back().payload.size();
    return last_;
  }

  std::vector<SpoolRecord> Read(uint64_t after, uint32_t count_most, size_t bytes_most) override {
    std::vector<SpoolRecord> out;
    size_t bytes = 0;
    // Sequences have no gaps here.
    for (size_t i = after > acknowledged_ ? after - acknowledged_ : 0; i < records_.size(); ++i) {
      bytes += records_[i].payload.size();
      if (!out.empty() && (out.size() >= count_most || bytes > bytes_most)) break;
      out.push_back(records_[i]);
    }
    return out;
  }

  void Acknowledge(uint64_t through) override {
    while (!records_.empty() && records_.front().sequence <= through) {
      bytes_ -= records_.front().payload.size();
      acknowledged_ = records_.front().sequence;
      records_.pop_front();
    }
  }

  void Flush() override {}
  uint64_t last() const override { return last_; }
  uint64_t acknowledged() const override { return acknowledged_; }
  uint64_t bytes() const override { return bytes_; }
  bool Full() const override {
    return bytes_ + DefaultSessionLimits().spool_reserve_bytes > bytes_most_;
  }
  uint64_t corrupt() const override { return 0; }
  absl::Status disk() const override { return absl::OkStatus(); }

 private:
  const std::string id_;
  const size_t bytes_most_;
  std::deque<SpoolRecord> records_;
  uint64_t last_ = 0;
  uint64_t acknowledged_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<Spool> MakeMemorySpool(std::string id, size_t bytes_most) {
  return std::make_unique<MemorySpool>(std::move(id), bytes_most);
}

}  // namespace picket
