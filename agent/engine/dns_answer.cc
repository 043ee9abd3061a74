#include "agent/engine/dns_answer.h"

#include <cstring>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/limits.h"

namespace picket {
namespace {

constexpr uint16_t kTypeA = 1, kTypeCname = 5, kTypeAaaa = 28, kClassIn = 1;

class Reader {
 public:
  explicit Reader(absl::string_view message) : message_(message) {}

  bool Number16(uint16_t* out) {
    if (at_ + 2 > message_.size()) return false;
    *out = static_cast<uint16_t>((Byte(at_) << 8) | Byte(at_ + 1));
    at_ += 2;
    return true;
  }
  bool Skip(size_t count) {
    if (count > message_.size() - at_) return false;
    at_ += count;
    return true;
  }
  bool Bytes(size_t count, absl::string_view* out) {
    if (count > message_.size() - at_) return false;
    *out = message_.substr(at_, count);
    at_ += count;
    return true;
  }
  // A name, compressed or not, in lower case with dots. Pointers must go backwards, so
  // that a chain of them ends.
  bool Name(std::string* out) {
    out->clear();
    size_t at = at_, lowest = at_;
    bool jumped = false;
    while (true) {
      if (at >= message_.size()) return false;
      const size_t length = Byte(at);
      if ((length & 0xc0) == 0xc0) {
        if (at + 1 >= message_.size()) return false;
        const size_t target = ((length & 0x3f) << 8) | Byte(at + 1);
        if (!jumped) at_ = at + 2;
        if (target >= lowest) return false;
        jumped = true;
        at = lowest = target;
        continue;
      }
      if ((length & 0xc0) != 0) return false;
      if (length == 0) break;
      if (at + 1 + length > message_.size() || out->size() + length + 1 > 255) return false;
      if (!out->empty()) out->push_back('.');
      absl::StrAppend(out, absl::AsciiStrToLower(message_.substr(at + 1, length)));
      at += 1 + length;
    }
    if (!jumped) at_ = at + 1;
    return true;
  }
  size_t at() const { return at_; }
  void Seek(size_t at) { at_ = at; }

 private:
  size_t Byte(size_t at) const { return static_cast<uint8_t>(message_[at]); }

  const absl::string_view message_;
  size_t at_ = 0;
};

struct Records {
  std::string question;
  absl::flat_hash_map<std::string, std::string> aliases;
  absl::flat_hash_map<std::string, std::vector<IpAddress>> addresses;
};

std::optional<Records> ReadRecords(absl::string_view message, bool v6) {
  Reader reader(message);
  Records records;
  uint16_t skipped, questions, answers;
  if (!reader.Number16(&skipped) || !reader.Number16(&skipped) || !reader.Number16(&questions) ||
      !reader.Number16(&answers) || !reader.Number16(&skipped) || !reader.Number16(&skipped)) {
    return std::nullopt;
  }
  if (questions != 1 || !reader.Name(&records.question) || !reader.Skip(4)) return std::nullopt;
  for (int i = 0; i < answers; ++i) {
    std::string owner;
    uint16_t type, record_class, length;
    absl::string_view data;
    if (!reader.Name(&owner) || !reader.Number16(&type) || !reader.Number16(&record_class) ||
        !reader.Skip(4) || !reader.Number16(&length)) {
      return std::nullopt;
    }
    const size_t start = reader.at();
    if (!reader.Bytes(length, &data)) return std::nullopt;
    if (record_class != kClassIn) continue;
    if (type == kTypeCname) {
      std::string target;
      const size_t end = reader.at();
      reader.Seek(start);
      if (!reader.Name(&target) || reader.at() != end) return std::nullopt;
      records.aliases.emplace(owner, std::move(target));
    } else if (type == (v6 ? kTypeAaaa : kTypeA)) {
      if (length != (v6 ? 16 : 4)) return std::nullopt;
      IpAddress address;
      address.v6 = v6;
      std::memcpy(address.bytes.data(), data.data(), length);
      std::vector<IpAddress>& of = records.addresses[owner];
      if (of.size() < DefaultEngineLimits().addresses) of.push_back(address);
    }
  }
  return records;
}

}  // namespace

DnsAnswer ParseDnsAnswer(absl::string_view message, bool v6) {
  DnsAnswer answer;
  auto records = ReadRecords(message, v6);
  if (!records) {
    answer.reason = v1::FailureReason::dns_server_failure;
    answer.problem = "the DNS server's answer is malformed";
    return answer;
  }
  absl::flat_hash_set<std::string> seen;
  std::string name = records->question;
  while (true) {
    const auto found = records->addresses.find(name);
    if (found != records->addresses.end()) {
      answer.addresses = std::move(found->second);
      return answer;
    }
    const auto alias = records->aliases.find(name);
    if (alias == records->aliases.end()) break;
    if (!seen.insert(name).second || seen.size() > DefaultEngineLimits().dns_aliases) {
      answer.reason = v1::FailureReason::dns_server_failure;
      answer.problem = absl::StrCat("the aliases (CNAME) of ", records->question,
                                    " lead in a circle or are too many");
      return answer;
    }
    name = alias->second;
  }
  answer.reason = v1::FailureReason::dns_no_address;
  return answer;
}

}  // namespace picket
