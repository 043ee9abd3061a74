// File: status_macros.h
//
// Early return on error, with upstream Abseil's names and semantics (absent from
// the distribution's release); delete this file when it catches up.
//
//   ABSL_RETURN_IF_ERROR(DoThis());
//   ABSL_ASSIGN_OR_RETURN(Value v, MakeValue());

#ifndef COMMON_BASE_STATUS_MACROS_H_
#define COMMON_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace picket {

// `status` with "context: " before its message; ok stays ok.
inline absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

}  // namespace picket

#ifndef ABSL_RETURN_IF_ERROR
#define ABSL_RETURN_IF_ERROR(expr)                                \
  do {                                                            \
    if (::absl::Status picket_status_ = (expr); !picket_status_.ok()) \
      return picket_status_;                                      \
  } while (false)

#define PICKET_CONCAT_INNER_(a, b) a##b
#define PICKET_CONCAT_(a, b) PICKET_CONCAT_INNER_(a, b)
#define ABSL_ASSIGN_OR_RETURN(lhs, rexpr) \
  PICKET_ASSIGN_OR_RETURN_(PICKET_CONCAT_(picket_or_, __LINE__), lhs, rexpr)
#define PICKET_ASSIGN_OR_RETURN_(tmp, lhs, rexpr)   \
  auto tmp = (rexpr);                               \
  if (!tmp.ok()) return std::move(tmp).status();    \
  lhs = *std::move(tmp)
#endif

#endif  // COMMON_BASE_STATUS_MACROS_H_
