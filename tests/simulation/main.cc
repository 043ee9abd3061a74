// picket-simulation [--seeds N] [--first-seed S] [--verbose] [--all-events]
//
// Simulates N fleets. A failure prints its seed, what was violated, and the tail of
// events; the same seed does the same again. Exit 1 if any failed.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "absl/strings/numbers.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/world.h"

int main(int argc, char** argv) {
  uint64_t seeds = 200, first = 1;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    const bool more = i + 1 < argc;
    if (std::strcmp(argv[i], "--seeds") == 0 && more && absl::SimpleAtoi(argv[i + 1], &seeds)) {
      ++i;
    } else if (std::strcmp(argv[i], "--first-seed") == 0 && more &&
               absl::SimpleAtoi(argv[i + 1], &first)) {
      ++i;
    } else if (std::strcmp(argv[i], "--verbose") == 0) {
      verbose = true;
    } else if (std::strcmp(argv[i], "--all-events") == 0) {
      picket::simulation::World::tail_most() = SIZE_MAX;
    } else {
      std::fprintf(stderr, "usage: picket-simulation [--seeds N] [--first-seed S] [--verbose] "
                   "[--all-events]\n");
      return 2;
    }
  }
  uint64_t failed = 0, executions = 0, kills = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const picket::simulation::Report report = picket::simulation::Simulate(seed);
    executions += report.executions;
    kills += report.kills;
    if (verbose) std::printf("seed %lu: %s\n", seed, report.summary.c_str());
    if (report.violations.empty()) continue;
    ++failed;
    std::printf("FAILED seed %lu: %s\n", seed, report.summary.c_str());
    for (const std::string& line : report.tail) std::printf("  | %s\n", line.c_str());
    for (const std::string& violation : report.violations) {
      std::printf("  ! %s\n", violation.c_str());
    }
    std::printf("again: tests/simulation/run.sh --seeds 1 --first-seed %lu\n", seed);
    std::fflush(stdout);
    if (failed >= 5) break;
  }
  std::printf("%lu seeds, %lu executions, %lu kills, %lu failed\n", seeds, executions, kills,
              failed);
  return failed == 0 ? 0 : 1;
}
