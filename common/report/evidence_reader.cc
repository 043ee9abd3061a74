#include "common/report/evidence_reader.h"

#include "common/policy/limits.h"

namespace picket {
namespace {

constexpr size_t kMissesMost = 200;

}  // namespace

void EvidenceReader::Fill(v1::Execution& execution) {
  for (v1::Attempt& attempt : *execution.mutable_attempts()) {
    if (attempt.outcome() == v1::Outcome::PASSED || attempt.has_evidence()) continue;
    if (found_ >= DefaultLimits().evidence_run_full || missed_in_a_row_ >= kMissesMost) return;
    absl::StatusOr<v1::Evidence> evidence = get_(execution.execution(), attempt.number());
    if (!evidence.ok()) {
      ++missed_in_a_row_;
      continue;
    }
    *attempt.mutable_evidence() = *std::move(evidence);
    ++found_;
    missed_in_a_row_ = 0;
  }
}

}  // namespace picket
