// A URL in the first line, a Location in the second, then the status in decimal.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "agent/engine/redirect.h"
#include "agent/engine/url.h"
#include "common/base/check.h"

namespace picket {
namespace {

void CheckUrl(const Url& url) {
  PICKET_CHECK(url.scheme == "http" || url.scheme == "https");
  PICKET_CHECK(!url.host.empty() && url.port != 0 && !url.path.empty() && url.path[0] == '/');
  for (const std::string* part : {&url.host, &url.path}) {
    for (unsigned char c : *part) PICKET_CHECK(c > 0x20 && c != 0x7f);
  }
  for (unsigned char c : url.query.value_or("")) PICKET_CHECK(c > 0x20 && c < 0x7f);
  // Reading what was written yields the same.
  const auto again = ParseUrl(ToText(url));
  PICKET_CHECK(again.ok() && ToText(*again) == ToText(url) && SameOrigin(*again, url));
}

}  // namespace
}  // namespace picket

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> lines = absl::StrSplit(input, '\n');
  const auto from = ParseUrl(lines[0]);
  if (!from.ok()) return 0;
  CheckUrl(*from);
  if (lines.size() < 3) return 0;
  RedirectQuestion question;
  question.from = *from;
  question.location = lines[1];
  (void)absl::SimpleAtoi(lines[2], &question.status);
  question.method = size % 2 == 0 ? "POST" : "GET";
  question.has_body = question.body_uses_secret = size % 4 == 0;
  question.allow_insecure = size % 8 < 4;
  question.most = 10;
  const RedirectAnswer answer = AnswerRedirect(question);
  PICKET_CHECK((answer.reason == v1::FailureReason::none) == answer.message.empty());
  if (answer.reason != v1::FailureReason::none) return 0;
  CheckUrl(answer.to);
  PICKET_CHECK(answer.new_origin == !SameOrigin(*from, answer.to));
  if (from->scheme == "https" && !question.allow_insecure)
    PICKET_CHECK(answer.to.scheme == "https");
  // A body with a secret stays where it belongs.
  PICKET_CHECK(!(answer.keep_body && answer.new_origin));
  return 0;
}
