#include "common/report/report_names.h"

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/report/run_text.h"

namespace picket {

std::string CaseNames::Of(const v1::Execution& execution) {
  if (execution.suite() != suite_ || execution.test_id() != test_id_) {
    suite_ = execution.suite();
    test_id_ = execution.test_id();
    const uint64_t name = StableHash(execution.test(), StableHash(suite_));
    const uint64_t id = StableHash(test_id_);
    with_id_ = first_id_.try_emplace(name, id).first->second != id;
  }
  if (!with_id_) return ExecutionTitle(execution, false);
  return absl::StrCat(
      execution.test(), " (", test_id_, ")",
      absl::string_view(ExecutionTitle(execution, false)).substr(execution.test().size()));
}

}  // namespace picket
