// The schema is the first line, the instance the rest.

#include <cstdint>
#include <string>

#include "common/base/check.h"
#include "common/expr/json.h"
#include "common/expr/json_schema.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const size_t line = input.find('\n');
  const auto schema = ParseJson(input.substr(0, line));
  if (!schema.ok()) return 0;
  const auto compiled = JsonSchema::Compile(*schema);
  if (!compiled.ok() || line == std::string::npos) return 0;
  const auto instance = ParseJson(input.substr(line + 1));
  if (!instance.ok()) return 0;
  const auto result = (*compiled)->Validate(*instance, 20'000);
  if (result.ok()) PICKET_CHECK(result->valid == result->errors.empty());
  return 0;
}
