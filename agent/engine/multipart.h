// File: multipart.h
//
// multipart/form-data bodies (RFC 7578).
//
// Thread rule: pure.

#ifndef AGENT_ENGINE_MULTIPART_H_
#define AGENT_ENGINE_MULTIPART_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace picket {

struct MultipartPart {
  std::string name;
  absl::string_view content;  // must outlive the call
  std::optional<std::string> file_name;
  std::string content_type;  // empty = none
};

// Names and file names are quoted as browsers do: CR, LF and '"' percent-encoded. The
// content type must be free of CR and LF.
std::string WriteMultipart(const std::vector<MultipartPart>& parts, absl::string_view boundary);

// A boundary made of `seed` that stands in none of the parts.
std::string ChooseBoundary(const std::vector<MultipartPart>& parts, uint64_t seed);

}  // namespace picket

#endif  // AGENT_ENGINE_MULTIPART_H_
