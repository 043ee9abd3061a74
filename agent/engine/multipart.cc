#include "agent/engine/multipart.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/random.h"

namespace picket {
namespace {

std::string Quoted(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"\r", "%0D"}, {"\n", "%0A"}, {"\"", "%22"}});
}

}  // namespace

std::string WriteMultipart(const std::vector<MultipartPart>& parts, absl::string_view boundary) {
  std::string out;
  for (const MultipartPart& part : parts) {
    absl::StrAppend(&out, "--", boundary, "\r\nContent-Disposition: form-data; name=\"",
                    Quoted(part.name), "\"");
    if (part.file_name.has_value()) {
      absl::StrAppend(&out, "; filename=\"", Quoted(*part.file_name), "\"");
    }
    if (!part.content_type.empty()) {
      absl::StrAppend(&out, "\r\nContent-Type: ", part.content_type);
    }
    absl::StrAppend(&out, "\r\n\r\n", part.content, "\r\n");
  }
  absl::StrAppend(&out, "--", boundary, "--\r\n");
  return out;
}

std::string ChooseBoundary(const std::vector<MultipartPart>& parts, uint64_t seed) {
  Random random(seed);
  while (true) {
    const std::string boundary = absl::StrCat("picket-", absl::Hex(random.Next(), absl::kZeroPad16),
                                              absl::Hex(random.Next(), absl::kZeroPad16));
    bool found = false;
    for (const MultipartPart& part : parts) found |= absl::StrContains(part.content, boundary);
    if (!found) return boundary;
  }
}

}  // namespace picket
