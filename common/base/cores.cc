#include "common/base/cores.h"

#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace picket {
namespace {

constexpr int kCoresMost = 1 << 16;

std::string LineOf(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int CoresOfAffinity() {
  const int all = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  cpu_set_t set;
  // Fails on a machine with more cores than the set holds: then the machine's count.
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return all;
  return std::max(1, CPU_COUNT(&set));
}

// This process's control group (version 2) and those around it, innermost first.
std::vector<std::string> GroupFolders() {
  absl::string_view group;
  const std::string line = LineOf("/proc/self/cgroup");
  group = line;
  if (!absl::ConsumePrefix(&group, "0::")) return {};
  std::vector<std::string> folders;
  while (true) {
    group = absl::StripSuffix(group, "/");
    folders.push_back(absl::StrCat("/sys/fs/cgroup", group));
    if (group.empty()) return folders;
    group = group.substr(0, group.rfind('/') + 1);
  }
}

}  // namespace

std::optional<int> CoresOfQuota(absl::string_view cpu_max) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(absl::StripAsciiWhitespace(cpu_max), absl::MaxSplits(' ', 1));
  int64_t quota = 0, period = 0;
  if (!absl::SimpleAtoi(parts.first, &quota) || !absl::SimpleAtoi(parts.second, &period)) {
    return std::nullopt;
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  const int64_t cores = (quota - 1) / period + 1;
  return static_cast<int>(std::min<int64_t>(cores, kCoresMost));
}

int UsableCores() {
  int cores = CoresOfAffinity();
  for (const std::string& folder : GroupFolders()) {
    const std::optional<int> limited = CoresOfQuota(LineOf(folder + "/cpu.max"));
    if (limited.has_value()) cores = std::min(cores, *limited);
  }
  return cores;
}

}  // namespace picket
