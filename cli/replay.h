// File: replay.h
//
// Repeating one attempt of a stored run: the run that does it, and what it came to in full.
//
// Thread rule: pure.

#ifndef CLI_REPLAY_H_
#define CLI_REPLAY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/printer.h"
#include "picket/v1/run_service.pb.h"

namespace picket {

// The attempt to repeat: `asked`, or where that is 0 the one that decided, or the first if
// none was made. InvalidArgument: there was none of that number. FailedPrecondition: the
// suite skips the test.
absl::StatusOr<uint32_t> AttemptToReplay(const v1::Definition& definition, uint32_t asked);

// A run of that one execution: one attempt, at its location, with its row, whose verdict is
// what it comes to.
v1::RunSpec ReplaySpec(const std::string& run_id, const v1::Definition& definition,
                       uint32_t attempt);

// "failed, assertion: status is 200, but it was 503" of an attempt; how an execution ended
// that has none of that number.
std::string OutcomeText(const v1::Execution& execution, uint32_t attempt);

// All of it, line by line: each step with its requests, phases, request, response and body;
// assertions; warnings; variables. Escaped for `printer`.
std::vector<std::string> AttemptText(const v1::Attempt& attempt, const Printer& printer);

}  // namespace picket

#endif  // CLI_REPLAY_H_
