#include "coordinator/app/page_token.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"

namespace picket {

std::string MakePageToken(absl::string_view kind, absl::string_view position) {
  return absl::WebSafeBase64Escape(absl::StrCat(kind, ":", position));
}

absl::StatusOr<std::string> ReadPageToken(absl::string_view kind, absl::string_view token) {
  if (token.empty()) return std::string();
  std::string text;
  absl::string_view position;
  if (absl::WebSafeBase64Unescape(token, &text)) {
    position = text;
    if (absl::ConsumePrefix(&position, kind) && absl::ConsumePrefix(&position, ":")) {
      return std::string(position);
    }
  }
  return absl::InvalidArgumentError(
      "page_token is not one that this list gave; use next_page_token of the previous answer");
}

absl::StatusOr<uint32_t> ReadNumberToken(absl::string_view kind, absl::string_view token) {
  ABSL_ASSIGN_OR_RETURN(const std::string position, ReadPageToken(kind, token));
  uint32_t number = 0;
  if (!position.empty() && !absl::SimpleAtoi(position, &number)) {
    return absl::InvalidArgumentError(
        "page_token is not one that this list gave; use next_page_token of the previous answer");
  }
  return number;
}

absl::StatusOr<size_t> ReadPageSize(int32_t page_size) {
  if (page_size < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size must not be negative, it is ", page_size));
  }
  if (page_size == 0) return 100;
  return std::min(static_cast<size_t>(page_size), DefaultLimits().list_page_size);
}

}  // namespace picket
