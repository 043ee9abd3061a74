// How many cores this process may use: what to size thread pools by.
//
// The machine's count is the wrong answer in a container with a CPU limit or under
// taskset: two loops on one core take turns and each believes that the other's time is
// its own lag. Thread-safe; reads the kernel's files at each call.
#ifndef COMMON_BASE_CORES_H_
#define COMMON_BASE_CORES_H_

#include <optional>

#include "absl/strings/string_view.h"

namespace picket {

// The cores of this thread's affinity mask (sched_getaffinity(2)), or fewer if a control
// group of this process is limited (cpu.max, rounded up). At least 1.
int UsableCores();

// What a control group's cpu.max ("max 100000", "150000 100000": quota and period in
// microseconds; Linux, Documentation/admin-guide/cgroup-v2.rst) leaves, rounded up to
// whole cores. Nothing for no limit or for text that is not of this form.
std::optional<int> CoresOfQuota(absl::string_view cpu_max);

}  // namespace picket

#endif  // COMMON_BASE_CORES_H_
