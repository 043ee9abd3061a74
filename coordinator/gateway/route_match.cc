#include "coordinator/gateway/route_match.h"

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace picket {

bool MatchRoute(absl::string_view pattern, absl::string_view path, RouteParams& params) {
  params.clear();
  while (true) {
    const size_t open = pattern.find('{');
    if (open == absl::string_view::npos) return pattern == path;
    if (!absl::ConsumePrefix(&path, pattern.substr(0, open))) return false;
    const size_t close = pattern.find('}', open);
    const bool with_slashes = absl::EndsWith(pattern.substr(open, close - open), "...");
    pattern.remove_prefix(close + 1);
    // It ends where the text after it begins: the first such place, or the last one where
    // it may hold slashes.
    const absl::string_view after = pattern.substr(0, pattern.find('{'));
    size_t end = after.empty() ? path.size()
                               : (with_slashes ? path.rfind(after) : path.find(after));
    if (end == absl::string_view::npos || end == 0) return false;
    const absl::string_view value = path.substr(0, end);
    if (!with_slashes && absl::StrContains(value, '/')) return false;
    params.emplace_back(value);
    path.remove_prefix(end);
  }
}

}  // namespace picket
