// The query is the first line, the document the rest.

#include <cstdint>
#include <string>

#include "common/base/check.h"
#include "common/expr/json.h"
#include "common/expr/jsonpath.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using picket::JsonPath;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const size_t line = input.find('\n');
  const std::string query = input.substr(0, line);
  const auto path = JsonPath::Compile(query);
  if (!path.ok()) return 0;
  PICKET_CHECK((*path)->text() == query);
  const auto document =
      picket::ParseJson(line == std::string::npos ? "null" : input.substr(line + 1));
  if (!document.ok()) return 0;
  const auto nodes = (*path)->Evaluate(*document, 10'000);
  const auto located = (*path)->EvaluateLocated(*document, 10'000);
  PICKET_CHECK(nodes.ok() == located.ok());
  if (!nodes.ok()) return 0;
  PICKET_CHECK(nodes->size() == located->size());
  if ((*path)->singular()) PICKET_CHECK(nodes->size() <= 1);
  // A normalized path selects exactly its node.
  for (size_t i = 0; i < located->size() && i < 4; ++i) {
    const auto again = JsonPath::Compile((*located)[i].path);
    if (!again.ok()) continue;  // longer than a query may be
    const auto one = (*again)->Evaluate(*document);
    PICKET_CHECK(one.ok() && one->size() == 1 && one->front() == (*located)[i].value);
  }
  return 0;
}
