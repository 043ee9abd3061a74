#include "agent/engine/dns_hosts.h"

#include <sys/stat.h>

#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "agent/engine/limits.h"

namespace picket {

HostsFile::HostsFile(std::string path) : path_(path.empty() ? "/etc/hosts" : std::move(path)) {
  loopback_ = {*ParseIp("::1"), *ParseIp("127.0.0.1")};
  Reload();
}

const std::vector<IpAddress>& HostsFile::Find(absl::string_view name, int64_t now_ns) {
  if (now_ns - checked_ns_ > absl::ToInt64Nanoseconds(DefaultEngineLimits().hosts_file_age)) {
    checked_ns_ = now_ns;
    Reload();
  }
  absl::ConsumeSuffix(&name, ".");
  const std::string lower = absl::AsciiStrToLower(name);
  const auto found = names_.find(lower);
  if (found != names_.end()) return found->second;
  if (lower == "localhost" || absl::EndsWith(lower, ".localhost")) return loopback_;
  return none_;
}

void HostsFile::Reload() {
  struct stat info {};
  if (stat(path_.c_str(), &info) != 0) {
    names_.clear();
    size_ = -1;
    return;
  }
  if (info.st_mtim.tv_sec == changed_s_ && info.st_mtim.tv_nsec == changed_ns_ &&
      info.st_size == size_ && info.st_ino == inode_) {
    return;
  }
  changed_s_ = info.st_mtim.tv_sec;
  changed_ns_ = info.st_mtim.tv_nsec;
  size_ = info.st_size;
  inode_ = info.st_ino;
  names_.clear();
  std::ifstream file(path_);
  std::string line;
  size_t entries = 0;
  while (std::getline(file, line) && entries < DefaultEngineLimits().hosts_entries) {
    const absl::string_view text = absl::string_view(line).substr(0, line.find('#'));
    const std::vector<absl::string_view> words =
        absl::StrSplit(text, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() < 2) continue;
    const auto address = ParseIp(words[0]);
    if (!address) continue;
    for (size_t i = 1; i < words.size(); ++i) {
      std::vector<IpAddress>& of = names_[absl::AsciiStrToLower(absl::StripSuffix(words[i], "."))];
      if (of.size() < DefaultEngineLimits().addresses) of.push_back(*address);
      ++entries;
    }
  }
}

}  // namespace picket
