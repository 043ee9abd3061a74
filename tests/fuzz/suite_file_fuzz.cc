// A suite file. No file it names is there.

#include <cstdint>
#include <string>

#include "common/base/check.h"
#include "common/policy/validate.h"
#include "common/suite_file/suite_file.h"

namespace {
class NoFiles : public picket::FileAccess {
 public:
  absl::StatusOr<std::string> Read(const std::string& path) override {
    return absl::NotFoundError(path);
  }
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  NoFiles files;
  ParseOptions options;
  options.file_name = "fuzz.yaml";
  const ParsedSuite parsed =
      ParseSuite(absl::string_view(reinterpret_cast<const char*>(data), size), options, files);
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    PICKET_CHECK(!diagnostic.message.empty());
    PICKET_CHECK(diagnostic.line >= 0 && diagnostic.column >= 0);
  }
  if (!parsed.diagnostics.empty()) return 0;
  // What the parser accepts, the coordinator's own check accepts.
  for (const v1::Test& test : parsed.suite.tests()) PICKET_CHECK(ValidateTest(test).ok());
  return 0;
}
