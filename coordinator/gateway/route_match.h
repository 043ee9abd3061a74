// File: route_match.h
//
// Which path is which route. A pattern is text with parameters in braces: {name} is one
// segment of a path or part of one, {name...} may hold slashes. No parameter is empty.
//
//   /v1/runs/{run_id}:cancel      /v1/agents/{agent...}:drain
//
// Thread rule: pure.

#ifndef COORDINATOR_GATEWAY_ROUTE_MATCH_H_
#define COORDINATOR_GATEWAY_ROUTE_MATCH_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace picket {

// In the order in which the pattern has them.
using RouteParams = std::vector<std::string>;

// Whether the whole `path` is of the pattern; if so, `params` are its parameters.
bool MatchRoute(absl::string_view pattern, absl::string_view path, RouteParams& params);

}  // namespace picket

#endif  // COORDINATOR_GATEWAY_ROUTE_MATCH_H_
