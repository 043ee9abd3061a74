// File: template_builtins.h
//
// The built-ins of the template language: what their arguments may be, and what they
// yield. Private to common/expr; template.h describes them to users.
//
// Thread rule: pure, but for the Random that is passed in.

#ifndef COMMON_EXPR_TEMPLATE_BUILTINS_H_
#define COMMON_EXPR_TEMPLATE_BUILTINS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/random.h"
#include "common/expr/json.h"

namespace picket {

struct BuiltinArgument {
  std::string text;
  size_t offset = 0;  // in the template, for errors
};

struct BuiltinCall {
  enum class Kind { kUuid, kTimestamp, kDate, kNumeric, kAlphabetic, kAlphanumeric };
  Kind kind = Kind::kUuid;
  absl::Duration offset;                   // of timestamp and date
  absl::Duration unit = absl::Seconds(1);  // of what timestamp prints
  std::string format;                      // of date; holds known directives only
  size_t length = 0;                       // of numeric, alphabetic and alphanumeric
};

// InvalidArgument when there are too few, too many or malformed arguments;
// `*error_offset` is then set if one of them is to blame. REQUIRES: IsBuiltinName(name).
absl::StatusOr<BuiltinCall> MakeBuiltin(absl::string_view name,
                                        const std::vector<BuiltinArgument>& arguments,
                                        size_t* error_offset);

Json CallBuiltin(const BuiltinCall& call, absl::Time now, Random& random);

// `time` in UTC by the directives of template.h. REQUIRES: only those appear.
std::string FormatDate(absl::string_view format, absl::Time time);

}  // namespace picket

#endif  // COMMON_EXPR_TEMPLATE_BUILTINS_H_
