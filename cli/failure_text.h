// File: failure_text.h
//
// A failed execution in words, for a log.
//
// Thread rule: pure.

#ifndef CLI_FAILURE_TEXT_H_
#define CLI_FAILURE_TEXT_H_

#include <string>
#include <vector>

#include "cli/printer.h"
#include "picket/v1/run.pb.h"

namespace picket {

// A failed execution, several lines: title, reason, what was asserted, expected and
// actual, timings, and the curl line that repeats it. Escaped for `printer`.
std::vector<std::string> FailureBlock(const v1::Execution& execution, bool with_suite,
                                      const Printer& printer);
// One that passed only after a failed attempt, in one line: who tried it, what came of it.
std::string FlakyLine(const v1::Execution& execution, bool with_suite, const Printer& printer);
// A failed one in one line.
std::string FailureLine(const v1::Execution& execution, bool with_suite, const Printer& printer);

}  // namespace picket

#endif  // CLI_FAILURE_TEXT_H_
