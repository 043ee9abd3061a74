// File: exit_code.h
//
// What the exit code of `picket` says to a pipeline. 0 alone means: go on.
//
// Thread rule: pure.

#ifndef CLI_EXIT_CODE_H_
#define CLI_EXIT_CODE_H_

#include "picket/v1/run.pb.h"

namespace picket {

enum ExitCode : int {
  kExitPassed = 0,
  kExitFailed = 1,
  kExitUsage = 2,         // wrong usage or an invalid suite; nothing was created
  kExitInconclusive = 3,  // nothing ran, the deadline passed, no agents
  kExitNoVerdict = 4,     // the coordinator cannot be reached, or refused us
  kExitInterrupted = 130,
  kExitTerminated = 143,
};

// The exit code of a verdict; kExitNoVerdict when there is none.
constexpr int ExitCodeOf(v1::Verdict::Value verdict) {
  switch (verdict) {
    case v1::Verdict::PASSED:
      return kExitPassed;
    case v1::Verdict::FAILED:
      return kExitFailed;
    case v1::Verdict::INCONCLUSIVE:
      return kExitInconclusive;
    default:
      return kExitNoVerdict;
  }
}

// 130 for SIGINT, 143 for SIGTERM, 128 + n for signal n.
constexpr int ExitCodeOfSignal(int signal) { return 128 + signal; }

}  // namespace picket

#endif  // CLI_EXIT_CODE_H_
