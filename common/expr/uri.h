// File: uri.h
//
// Resolving a URI reference against a base (RFC 3986, section 5.2), as the identifiers of
// JSON Schema need it. Pure.

#ifndef COMMON_EXPR_URI_H_
#define COMMON_EXPR_URI_H_

#include <string>

#include "absl/strings/string_view.h"

namespace picket {

struct UriReference {
  std::string without_fragment;  // resolved
  std::string fragment;          // percent-decoded, without the #
};

// An empty `base` leaves `reference` as it is.
UriReference ResolveUri(absl::string_view base, absl::string_view reference);

}  // namespace picket

#endif  // COMMON_EXPR_URI_H_
