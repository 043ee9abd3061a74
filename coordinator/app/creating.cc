// How a run is created: checked, planned and packed on a reader, then admitted.

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"
#include "common/policy/regression.h"
#include "common/policy/sha256.h"
#include "common/policy/validate.h"
#include "coordinator/app/coordinator_impl.h"
#include "coordinator/core/history.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace picket {
namespace {

// Expected durations are asked for up to this many test x locations; larger plans are
// even enough as they are.
constexpr size_t kDurationKeysMost = 50'000;

// Of the spec with its maps in order, so that it names its meaning.
std::string DigestOf(const v1::RunSpec& spec) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    spec.SerializeToCodedStream(&coded);
  }
  return Sha256Digest(bytes);
}

std::vector<Store::DurationKey> KeysOf(const v1::RunSpec& spec) {
  std::vector<Store::DurationKey> keys;
  for (const v1::Suite& suite : spec.suites()) {
    for (const v1::Test& test : suite.tests()) {
      for (const std::string& location : test.locations()) {
        if (keys.size() == kDurationKeysMost) return {};
        keys.push_back({suite.name(), test.id(), location});
      }
    }
  }
  return keys;
}

// What the run's regression gates compare with, into its tests: frozen here, so that every
// agent and every attempt of the run compares with the same.
absl::Status LoadPastTimes(Store& store, const std::string& project, v1::RunSpec& spec) {
  size_t gated = 0;
  for (v1::Suite& suite : *spec.mutable_suites()) {
    for (v1::Test& test : *suite.mutable_tests()) {
      test.clear_past_times();
      size_t longest = 0;
      for (const RegressionGate& gate : RegressionGates(test)) {
        longest = std::max<size_t>(longest, gate.rule.over);
      }
      if (longest == 0) continue;
      gated += static_cast<size_t>(test.locations_size());
      if (gated > DefaultLimits().regression_gates_per_run) {
        return absl::ResourceExhaustedError(
            absl::StrCat("the run has more than ", DefaultLimits().regression_gates_per_run,
                         " tests x locations with a regression gate"));
      }
      const size_t rows = test.has_for_each() ? static_cast<size_t>(test.for_each().rows_size()) : 1;
      std::vector<std::string> ids = {test.id()};
      ids.insert(ids.end(), test.renamed_from().begin(), test.renamed_from().end());
      for (const std::string& location : test.locations()) {
        std::vector<HistoryRow> found;
        for (const std::string& id : ids) {
          ABSL_ASSIGN_OR_RETURN(std::vector<HistoryRow> more,
                                store.LoadHistory(project, {suite.name(), id, location},
                                                  spec.baseline(), longest * rows));
          found.insert(found.end(), std::make_move_iterator(more.begin()),
                       std::make_move_iterator(more.end()));
        }
        if (ids.size() > 1) {
          std::stable_sort(found.begin(), found.end(), [](const HistoryRow& a, const HistoryRow& b) {
            return a.time > b.time;
          });
        }
        AddPastTimes(location, found, test);
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Validate(const v1::CreateRunRequest& request) {
  if (!IsUuid(request.request_id())) {
    return absl::InvalidArgumentError(
        absl::StrCat("request_id must be a UUID, drawn once per invocation, not '",
                     request.request_id(), "'"));
  }
  if (request.project().size() > DefaultLimits().name_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("project has more than ",
                                                   DefaultLimits().name_bytes, " bytes"));
  }
  return ValidateRunSpec(request.spec());
}

}  // namespace

void CoordinatorImpl::CreateRun(v1::CreateRunRequest request,
                                Callback<v1::CreateRunResponse> done) {
  auto shared = std::make_shared<Callback<v1::CreateRunResponse>>(std::move(done));
  auto held = std::make_shared<v1::CreateRunRequest>(std::move(request));
  const auto refuse = [shared](absl::string_view why) {
    (*shared)(absl::UnavailableError(why));
  };
  const bool posted = PostJob([this, held, shared, refuse] {
    if (!Ready()) {
      refuse("the store cannot be written; try again");
      return;
    }
    if (!Read([this, held, shared, fleet = core_->LiveFleet(), now = StoreNow()]() mutable {
          PlanAndAdmit(std::move(*held), std::move(fleet), now, std::move(*shared));
        })) {
      refuse("the coordinator has too much to do; try again");
    }
  });
  if (!posted) refuse("the coordinator is stopping or has too much to do; try again");
}

void CoordinatorImpl::EstimateRun(v1::EstimateRunRequest request,
                                  Callback<v1::PlanEstimate> done) {
  auto shared = std::make_shared<Callback<v1::PlanEstimate>>(std::move(done));
  auto held = std::make_shared<v1::CreateRunRequest>();
  held->set_project(std::move(*request.mutable_project()));
  held->mutable_spec()->Swap(request.mutable_spec());
  const auto busy = [shared] {
    (*shared)(absl::UnavailableError(
        "the coordinator is stopping or has too much to do; try again"));
  };
  const bool posted = PostJob([this, held, shared, busy] {
    if (!Read([this, held, shared, fleet = core_->LiveFleet(), now = StoreNow()]() mutable {
          absl::Status valid = ValidateRunSpec(held->spec());
          if (!valid.ok()) return (*shared)(std::move(valid));
          absl::StatusOr<RunPlanned> planned = Plan(std::move(*held), std::move(fleet), now);
          if (!planned.ok()) return (*shared)(planned.status());
          (*shared)(std::move(planned->estimate));
        })) {
      busy();
    }
  });
  if (!posted) busy();
}

absl::StatusOr<RunPlanned> CoordinatorImpl::Plan(v1::CreateRunRequest request, Fleet fleet,
                                                 absl::Time now) {
  PlanRequest plan;
  {
    Random random = Random::FromSystem();
    plan.run_id = NewRunId(now, random);
  }
  plan.project = request.project().empty() ? "default" : request.project();
  plan.request_id = request.request_id();
  plan.spec_digest = DigestOf(request.spec());
  const std::vector<Store::DurationKey> keys = KeysOf(request.spec());
  if (!keys.empty()) {
    ABSL_ASSIGN_OR_RETURN(plan.durations, store_->ExpectedDurations(plan.project, keys));
  }
  plan.spec = std::move(*request.mutable_spec());
  ABSL_RETURN_IF_ERROR(LoadPastTimes(*store_, plan.project, plan.spec));
  plan.fleet = std::move(fleet);
  plan.now = now;
  return PlanRun(std::move(plan));
}

void CoordinatorImpl::PlanAndAdmit(v1::CreateRunRequest request, Fleet fleet, absl::Time now,
                                   Callback<v1::CreateRunResponse> done) {
  if (absl::Status status = Validate(request); !status.ok()) {
    done(std::move(status));
    return;
  }
  absl::StatusOr<RunPlanned> planned = Plan(std::move(request), std::move(fleet), now);
  if (!planned.ok()) {
    done(planned.status());
    return;
  }
  AdmitRun& admit = planned->admit;
  std::shared_ptr<const RunPlan> packed = MakeRunPlan(admit.run, admit.tests, admit.blobs);
  auto shared = std::make_shared<Callback<v1::CreateRunResponse>>(std::move(done));
  auto admitted = std::make_shared<RunPlanned>(*std::move(planned));
  const bool posted = PostJob([this, admitted, packed = std::move(packed), shared]() mutable {
    const TokenId token =
        Wait([shared, estimate = std::move(admitted->estimate)](Answer answer) mutable {
          if (!answer.status.ok() || !answer.run.has_value()) {
            (*shared)(answer.status);
            return;
          }
          v1::CreateRunResponse response;
          *response.mutable_run() = std::move(answer.run->run);
          response.set_existed(answer.existed);
          *response.mutable_estimate() = std::move(estimate);
          (*shared)(std::move(response));
        });
    Tell(core_->Apply(StoreNow(), event::Admit{.token = token,
                                               .admit = std::move(admitted->admit),
                                               .plan = std::move(packed)}));
  });
  if (!posted) {
    (*shared)(absl::UnavailableError("the coordinator is stopping or has too much to do; try again"));
  }
}

}  // namespace picket
