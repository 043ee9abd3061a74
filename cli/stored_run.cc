#include "cli/stored_run.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/report_set.h"
#include "cli/run_end.h"
#include "common/base/status_macros.h"

namespace picket {

absl::Status StoredRunBuilder::Add(const v1::Execution& e) {
  if (e.execution() != stored_.ends.size()) {
    return absl::InternalError(absl::StrCat("execution ", stored_.ends.size(), " of the run is ",
                                            "missing from the coordinator's answer"));
  }
  if (!e.has_policy()) {
    return absl::FailedPreconditionError(
        "the coordinator does not tell the policies of the run's tests; it is of an older version");
  }
  const bool first = shapes_.empty() || stored_.tests.back().suite != e.suite() ||
                     stored_.tests.back().id != e.test_id();
  if (first) {
    stored_.tests.push_back({.suite = e.suite(), .id = e.test_id(), .name = e.test()});
    TestShape shape;
    shape.has_rows = e.has_row();
    shape.rows = 0;
    shape.blocking = e.blocking();
    shape.skipped = e.end() == v1::End::SKIPPED;
    shape.policy = e.policy();
    shapes_.push_back(std::move(shape));
  }
  TestShape& shape = shapes_.back();
  if (shape.locations.empty() || shape.locations.back() != e.location()) {
    shape.locations.push_back(e.location());
    rows_ = 0;
  }
  if (e.row() != rows_ || (shape.locations.size() > 1 && rows_ >= shape.rows)) {
    return absl::InternalError(
        absl::StrCat("execution ", e.execution(), " is not numbered by test, location and row"));
  }
  ++rows_;
  if (shape.locations.size() == 1) shape.rows = rows_;
  stored_.ends.push_back(MakeEnd(e.end(), e.flaky(), e.learning()));
  stored_.reasons.push_back(static_cast<uint8_t>(e.reason()));
  stored_.blames.push_back(static_cast<uint8_t>(e.blame()));
  return absl::OkStatus();
}

absl::StatusOr<StoredRun> StoredRunBuilder::Finish(v1::Run run) {
  ABSL_ASSIGN_OR_RETURN(stored_.shape, PlanShape::Make(std::move(shapes_)));
  if (stored_.shape.executions() != stored_.ends.size() ||
      run.ledger().planned() != stored_.ends.size()) {
    return absl::InternalError(absl::StrCat("the run planned ", run.ledger().planned(),
                                            " executions, and the coordinator told ",
                                            stored_.ends.size()));
  }
  stored_.run = std::move(run);
  return std::move(stored_);
}

absl::StatusOr<StoredRun> ReadStoredRun(Environment& env, RunClient& client,
                                        const std::string& run_id) {
  ABSL_ASSIGN_OR_RETURN(v1::WatchRunResponse state, ReadState(env, client, run_id));
  StoredRunBuilder builder;
  absl::Status added;
  const absl::Status read =
      ReadExecutions(env, client, run_id, {.view = v1::ListExecutionsRequest::BASIC},
                     [&](v1::Execution& execution) {
                       added = builder.Add(execution);
                       return added.ok();
                     });
  ABSL_RETURN_IF_ERROR(added);
  ABSL_RETURN_IF_ERROR(read);
  return builder.Finish(std::move(*state.mutable_run()));
}

}  // namespace picket
