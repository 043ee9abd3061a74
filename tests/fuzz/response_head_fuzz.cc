// The head of a response, line by line.

#include <cstdint>
#include <string>

#include "agent/engine/transfer_head.h"
#include "common/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  const std::string input(reinterpret_cast<const char*>(data), size);
  ResponseHead head;
  size_t at = 0;
  while (at < input.size()) {
    size_t end = input.find('\n', at);
    end = end == std::string::npos ? input.size() : end + 1;
    const bool good = head.Line(absl::string_view(input).substr(at, end - at));
    PICKET_CHECK(good == (head.reason() == v1::FailureReason::none));
    if (!good) {
      PICKET_CHECK(!head.problem().empty());
      return 0;
    }
    at = end;
  }
  if (head.complete()) PICKET_CHECK(head.status() >= 200 && head.status() <= 999);
  (void)head.codings();
  return 0;
}
