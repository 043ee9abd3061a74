// The ready-made value checks of flags.h.

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/flags.h"
#include "common/policy/units.h"

namespace picket {

FlagCheck IntBetween(int64_t least, int64_t most) {
  return [least, most](absl::string_view value) {
    int64_t number = 0;
    if (absl::SimpleAtoi(value, &number) && number >= least && number <= most) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("'", value, "' is not a whole number from ", least, " to ", most));
  };
}

FlagCheck DurationBetween(absl::Duration least, absl::Duration most) {
  return [least, most](absl::string_view value) -> absl::Status {
    auto duration = ParseDuration(value);
    if (!duration.ok()) return duration.status();
    if (*duration >= least && *duration <= most) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        "'", value, "' is not a time from ", DurationText(least), " to ", DurationText(most)));
  };
}

FlagCheck OneOf(std::vector<std::string> words) {
  return [words = std::move(words)](absl::string_view value) {
    if (std::find(words.begin(), words.end(), value) != words.end()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("'", value, "' is none of: ", absl::StrJoin(words, ", ")));
  };
}

FlagCheck HostPort() {
  return [](absl::string_view value) {
    const auto bad = [value](absl::string_view why) {
      return absl::InvalidArgumentError(absl::StrCat("'", value, "' is not HOST:PORT: ", why));
    };
    const size_t colon = value.rfind(':');
    if (colon == absl::string_view::npos) return bad("there is no port");
    const absl::string_view host = value.substr(0, colon);
    uint32_t port = 0;
    if (!absl::SimpleAtoi(value.substr(colon + 1), &port) || port > 65535) {
      return bad("the port must be from 0 to 65535");
    }
    if (host.empty()) return bad("there is no host");
    const bool bracketed = host.front() == '[' && host.back() == ']';
    if (!bracketed && host.find(':') != absl::string_view::npos) {
      return bad("an IPv6 address goes in brackets");
    }
    return absl::OkStatus();
  };
}

FlagCheck NotEmpty() {
  return [](absl::string_view value) {
    return value.empty() ? absl::InvalidArgumentError("must not be empty") : absl::OkStatus();
  };
}

}  // namespace picket
