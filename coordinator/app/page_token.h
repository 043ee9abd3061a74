// File: page_token.h
//
// Page tokens: opaque to clients, so that what is in them may change. All functions
// are pure and thread-safe.

#ifndef COORDINATOR_APP_PAGE_TOKEN_H_
#define COORDINATOR_APP_PAGE_TOKEN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace picket {

// `kind` says which list it belongs to, so that no token serves another list.
std::string MakePageToken(absl::string_view kind, absl::string_view position);
// The position; empty for an empty token. InvalidArgument if it was not made for `kind`.
absl::StatusOr<std::string> ReadPageToken(absl::string_view kind, absl::string_view token);
// The same for lists by number: 0 for an empty token.
absl::StatusOr<uint32_t> ReadNumberToken(absl::string_view kind, absl::string_view token);

// The page size meant: 0 is 100, more than Limits::list_page_size is that; InvalidArgument
// when negative.
absl::StatusOr<size_t> ReadPageSize(int32_t page_size);

}  // namespace picket

#endif  // COORDINATOR_APP_PAGE_TOKEN_H_
