#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/engine/engine.h"
#include "agent/engine/limits.h"
#include "common/base/files.h"
#include "common/base/mutex.h"

namespace picket {
namespace {

bool IsSecretName(absl::string_view name) {
  if (name.empty() || name.size() > 200) return false;
  for (char c : name) {
    if (!absl::ascii_isalnum(c) && c != '_' && c != '-') return false;
  }
  return true;
}

// "example.com" is itself; "*.example.com" is everything below it.
bool HostIsBound(absl::string_view host, absl::string_view pattern) {
  if (absl::ConsumePrefix(&pattern, "*.")) {
    return host.size() > pattern.size() && absl::EndsWithIgnoreCase(host, pattern) &&
           host[host.size() - pattern.size() - 1] == '.';
  }
  return absl::EqualsIgnoreCase(host, pattern);
}

struct Secret {
  std::string value;  // empty = there is none
  bool bound = false;
  std::vector<std::string> hosts;  // if bound
};

class MachineSecrets : public SecretSource {
 public:
  MachineSecrets(const std::string& directory, std::map<std::string, std::string> given)
      : directory_(directory), given_(std::move(given)) {}

  std::optional<std::string> Lookup(absl::string_view name, absl::string_view host) override {
    MutexLock lock(&mu_);
    const Secret& secret = Find(name);
    if (secret.value.empty()) return std::nullopt;
    if (secret.bound) {
      bool allowed = false;
      for (const std::string& pattern : secret.hosts) allowed |= HostIsBound(host, pattern);
      if (!allowed) return std::nullopt;
    }
    return secret.value;
  }

  std::optional<std::string> Value(absl::string_view name) override {
    MutexLock lock(&mu_);
    const Secret& secret = Find(name);
    if (secret.value.empty()) return std::nullopt;
    return secret.value;
  }

 private:
  const Secret& Find(absl::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    auto [it, fresh] = known_.try_emplace(std::string(name));
    if (fresh) it->second = Load(it->first);
    return it->second;
  }

  Secret Load(const std::string& name) const {
    Secret secret;
    if (!IsSecretName(name)) return secret;
    if (auto it = given_.find(name); it != given_.end()) {
      secret.value = it->second;
      return secret;
    }
    const size_t most = DefaultEngineLimits().secret_bytes;
    if (const char* value = std::getenv(absl::StrCat("PICKET_SECRET_", name).c_str());
        value != nullptr) {
      secret.value = value;
    } else if (!directory_.empty()) {
      auto text = ReadFile(absl::StrCat(directory_, "/", name), most);
      if (text.ok()) {
        absl::string_view value = *text;
        if (absl::ConsumeSuffix(&value, "\n")) absl::ConsumeSuffix(&value, "\r");
        secret.value = std::string(value);
      }
    }
    if (!directory_.empty() && !secret.value.empty()) {
      auto hosts = ReadFile(absl::StrCat(directory_, "/", name, ".hosts"), most);
      // A file that is there and cannot be read binds the secret to nothing at all.
      secret.bound = hosts.ok() || !absl::IsNotFound(hosts.status());
      if (hosts.ok()) {
        for (absl::string_view line : absl::StrSplit(*hosts, '\n')) {
          line = absl::StripAsciiWhitespace(line);
          if (!line.empty()) secret.hosts.emplace_back(line);
        }
      }
    }
    return secret;
  }

  const std::string directory_;
  const std::map<std::string, std::string> given_;

  Mutex mu_;
  std::map<std::string, Secret> known_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<SecretSource> MakeSecretSource(const std::string& directory,
                                               std::map<std::string, std::string> given) {
  return std::make_unique<MachineSecrets>(directory, std::move(given));
}

}  // namespace picket
