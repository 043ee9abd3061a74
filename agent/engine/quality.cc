#include "agent/engine/quality.h"

#include <fcntl.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/engine/limits.h"

namespace picket {

std::string PoorReason(const v1::Quality& quality) {
  const EngineLimits& limits = DefaultEngineLimits();
  const absl::Duration stall = absl::Microseconds(quality.loop_stall_us());
  if (stall > limits.poor_loop_stall) {
    return absl::StrCat("the agent's event loop stood still for ", absl::FormatDuration(stall));
  }
  const absl::Duration lag = absl::Microseconds(quality.scheduling_lag_us());
  if (lag > limits.poor_scheduling_lag) {
    return absl::StrCat("the check started ", absl::FormatDuration(lag), " late");
  }
  if (quality.cpu_steal_permille() > limits.poor_cpu_steal_permille) {
    return absl::StrCat("the agent's hypervisor kept ", quality.cpu_steal_permille() / 10,
                        "% of its CPU time");
  }
  return "";
}

bool IsTimeout(v1::FailureReason::Value reason) {
  switch (reason) {
    case v1::FailureReason::dns_timeout:
    case v1::FailureReason::connect_timeout:
    case v1::FailureReason::tls_timeout:
    case v1::FailureReason::timeout_send:
    case v1::FailureReason::timeout_first_byte:
    case v1::FailureReason::timeout_transfer:
      return true;
    default:
      return false;
  }
}

bool ParseCpuTicks(absl::string_view text, CpuTicks& out) {
  text = text.substr(0, text.find('\n'));
  if (!absl::ConsumePrefix(&text, "cpu ")) return false;
  const std::vector<absl::string_view> fields = absl::StrSplit(text, ' ', absl::SkipEmpty());
  if (fields.size() < 8) return false;
  CpuTicks ticks;
  // user nice system idle iowait irq softirq steal; guest time is in user already.
  for (size_t i = 0; i < 8; ++i) {
    uint64_t value = 0;
    if (!absl::SimpleAtoi(fields[i], &value)) return false;
    ticks.total += value;
    if (i == 7) ticks.steal = value;
  }
  out = ticks;
  return true;
}

void StealMeter::Sample() {
  const int fd = ::open("/proc/stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  char buffer[512];
  const ssize_t size = ::read(fd, buffer, sizeof buffer);
  ::close(fd);
  CpuTicks ticks;
  if (size > 0 && ParseCpuTicks(absl::string_view(buffer, size), ticks)) Add(ticks);
}

void StealMeter::Add(const CpuTicks& ticks) {
  if (started_ && ticks.total > last_.total && ticks.steal >= last_.steal) {
    permille_.store(
        static_cast<uint32_t>((ticks.steal - last_.steal) * 1000 / (ticks.total - last_.total)),
        std::memory_order_relaxed);
  }
  started_ = true;
  last_ = ticks;
}

}  // namespace picket
