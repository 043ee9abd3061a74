#include "tests/simulation/fleet_scenario.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/proto_time.h"

namespace picket::simulation {

v1::Test Scenario::DrawTest(int number) {
  v1::Test test;
  test.set_suite("simulated");
  test.set_id(absl::StrCat("t", number));
  test.set_name(test.id());
  for (const std::string& location : locations_) {
    if (test.locations().empty() || Draw(0.5)) test.add_locations(location);
  }
  test.set_blocking(true);
  test.set_repeatable(Draw(0.6));
  test.mutable_timeout()->set_seconds(10);
  test.mutable_policy()->set_locations(v1::Policy::ALL);
  test.mutable_policy()->set_flaky(Draw(0.5) ? v1::Policy::FLAKY_PASS : v1::Policy::FLAKY_FAIL);
  test.mutable_policy()->set_inconclusive(v1::Policy::INCONCLUSIVE_INCONCLUSIVE);
  v1::Retry& retry = *test.mutable_retry();
  retry.set_attempts(Draw(0.5) ? 1 : Pick(2, 4));
  retry.set_backoff(1);
  retry.mutable_delay()->set_nanos(static_cast<int32_t>(random().Below(900'000'000)));
  retry.add_on(v1::Retry::FAILED);
  if (Draw(0.7)) retry.add_on(v1::Retry::INCONCLUSIVE);
  if (Draw(0.8)) retry.add_where(Draw(0.5) ? v1::Retry::SAME_AGENT : v1::Retry::SAME_LOCATION);
  if (Draw(0.3) || retry.where().empty()) {
    retry.add_where(Draw(0.5) ? v1::Retry::SAME_LOCATION : v1::Retry::ANYWHERE);
  }
  if (Draw(0.3)) test.add_tags("ill");
  if (Draw(0.05) && test.tags().empty()) {
    test.add_tags("poison");
    test.set_repeatable(true);
  }
  if (Draw(0.05)) test.set_skip("not in this simulation");
  test.set_priority(Draw(0.3) ? static_cast<int32_t>(Pick(0, 20)) - 10 : 0);
  if (Draw(0.5) && (test.tags().empty() || test.tags(0) != "poison")) {
    v1::Table* table = test.mutable_for_each();
    table->add_columns("n");
    const uint32_t rows = Pick(0, 40);
    for (uint32_t i = 0; i < rows; ++i) table->add_rows()->add_cells(absl::StrCat(i));
  }
  test.add_steps()->mutable_http()->set_method("GET");
  return test;
}

void Scenario::DrawFleet() {
  const uint32_t coordinators = Pick(1, 3);
  exclusive_ = coordinators == 1 && Draw(0.5);
  for (uint32_t i = 0; i < Pick(1, 3); ++i) locations_.push_back(absl::StrCat("place-", i));
  wire_.delay_most = Draw(0.3) ? absl::Milliseconds(120) : absl::Milliseconds(2);
  coordinators_.resize(coordinators);
  for (size_t i = 0; i < coordinators; ++i) StartCoordinator(i);
  for (const std::string& location : locations_) {
    for (uint32_t i = 0; i < Pick(1, 3); ++i) {
      SimAgent::Options options;
      options.name = absl::StrCat("agent-", agents_.size());
      options.location = location;
      options.capacity = Pick(1, 12);
      options.check_most = Draw(0.2) ? absl::Seconds(2) : absl::Milliseconds(400);
      options.slowness = Draw(0.15) ? 4 : 1;
      // Slow, but not so slow that a run cannot be done in time.
      if (options.slowness > 1 || options.check_most > absl::Seconds(1)) {
        options.capacity = std::max(options.capacity, 6u);
      }
      if (Draw(0.3)) options.clock_skew = world_.Between(-absl::Hours(30), absl::Hours(30));
      agents_.push_back(
          std::make_unique<SimAgent>(&world_, &checkers_, &oracle_, options,
                                     [this, at = agents_.size()] { return Dial(at); }));
      agents_.back()->Start();
    }
  }
  absl::StrAppend(&report_.summary, coordinators, " coordinators", exclusive_ ? " (exclusive)" : "",
                  ", ", agents_.size(), " agents at ", locations_.size(), " places");
}

void Scenario::StartCoordinator(size_t index) {
  CoreOptions options;
  options.coordinator =
      absl::StrCat("c", index, "-", random().Below(1'000'000));
  options.exclusive = exclusive_;
  coordinators_[index] = std::make_unique<SimCoordinator>(&world_, store_.get(), &checkers_,
                                                          &store_faults_, options);
}

SimCoordinator* Scenario::AnyCoordinator(size_t* index) {
  std::vector<size_t> live;
  for (size_t i = 0; i < coordinators_.size(); ++i) {
    if (coordinators_[i] != nullptr) live.push_back(i);
  }
  if (live.empty()) return nullptr;
  const size_t at = live[random().Below(live.size())];
  if (index != nullptr) *index = at;
  return coordinators_[at].get();
}

std::shared_ptr<Stream> Scenario::Dial(size_t agent) {
  size_t at = 0;
  SimCoordinator* coordinator = AnyCoordinator(&at);
  if (coordinator == nullptr) return nullptr;
  auto stream = std::make_shared<Stream>(&world_, &wire_, agent, at);
  std::erase_if(partitions_, [&](const Partition& p) { return p.until <= world_.now(); });
  for (const Partition& p : partitions_) {
    if (p.agent != agent || p.coordinator != at) continue;
    if (p.up) stream->HoldUp(true, p.until);
    if (p.down) stream->HoldUp(false, p.until);
  }
  coordinator->Accept(stream);
  std::erase_if(streams_, [](const std::weak_ptr<Stream>& s) { return s.expired(); });
  streams_.push_back(stream);
  return stream;
}

void Scenario::DrawLoad() {
  const uint32_t runs = Pick(1, 4);
  for (uint32_t r = 0; r < runs; ++r) {
    Wanted wanted;
    wanted.request_id = NewUuid(random());
    v1::Suite* suite = wanted.spec.add_suites();
    suite->set_name("simulated");
    const uint32_t tests = Pick(1, 6);
    for (uint32_t t = 0; t < tests; ++t) {
      *suite->add_tests() = DrawTest(static_cast<int>(r * 100 + t));
    }
    SetDuration(Draw(0.2) ? absl::Seconds(Pick(2, 60)) : kLongDeadline,
                wanted.spec.mutable_deadline());
    wanted.spec.set_fail_fast(Draw(0.15));
    if (Draw(0.1)) suite->set_max_failures(Pick(1, 5));
    wanted_.push_back(std::move(wanted));
    const size_t index = wanted_.size() - 1;
    world_.At(world_.Between(absl::ZeroDuration(), absl::Seconds(20)),
              [this, index] { Submit(index); });
    if (Draw(0.1)) {
      world_.At(world_.Between(absl::Seconds(5), absl::Seconds(50)), [this, index] {
        SimCoordinator* coordinator = AnyCoordinator();
        if (coordinator == nullptr || wanted_[index].run_id.empty()) return;
        coordinator->CancelRun(wanted_[index].run_id, [this](absl::StatusOr<v1::Run> run) {
          if (run.ok()) checkers_.OnRunTold(*run);
        });
      });
    }
  }
  absl::StrAppend(&report_.summary, ", ", runs, " runs");
}

// As a client does it: the same request again until somebody has answered; sometimes to
// two coordinators at once.
void Scenario::Submit(size_t index) {
  if (!wanted_[index].run_id.empty()) return;
  world_.After(absl::Seconds(3), [this, index] { Submit(index); });
  Ask(index);
  if (Draw(asks_twice_)) {
    world_.After(world_.Between(absl::ZeroDuration(), absl::Milliseconds(5)),
                 [this, index] { Ask(index); });
  }
}

void Scenario::Ask(size_t index) {
  const Wanted& wanted = wanted_[index];
  SimCoordinator* coordinator = AnyCoordinator();
  if (coordinator == nullptr) return;
  PlanRequest request;
  request.now = *store_->Now();
  request.run_id = NewRunId(request.now, random());
  request.project = "default";
  request.request_id = wanted.request_id;
  request.spec_digest = std::string(32, static_cast<char>('a' + index));
  request.spec = wanted.spec;
  request.fleet = coordinator->LiveFleet();
  absl::StatusOr<RunPlanned> planned = PlanRun(std::move(request));
  coordinator->CreateRun(std::move(planned->admit), [this, index](absl::StatusOr<v1::Run> run) {
    if (!run.ok()) return;
    Wanted& wanted = wanted_[index];
    if (!wanted.run_id.empty()) {
      checkers_.OnSameRequest(wanted.run_id, run->run_id());
      return;
    }
    wanted.run_id = run->run_id();
    checkers_.OnRunAdmitted(*run, wanted.spec);
    report_.executions += run->ledger().planned();
  });
}

// Whatever has died or gone is started again, as by systemd.
void Scenario::Supervise() {
  for (const auto& agent : agents_) {
    if (agent->running() && !agent->drained() && !agent->refused()) continue;
    if (!Draw(0.3)) continue;
    agent->Start(/*keep_spool=*/Draw(0.8));
  }
  world_.After(absl::Milliseconds(500), [this] { Supervise(); });
}

bool Scenario::AllSealed() {
  return std::all_of(wanted_.begin(), wanted_.end(), [&](const Wanted& wanted) {
    if (wanted.run_id.empty()) return false;
    const absl::StatusOr<RunRow> row = store_->GetRun(wanted.run_id);
    return row.ok() && row->run.state() == v1::Run::SEALED;
  });
}

Report Scenario::Run() {
  DrawFleet();
  DrawLoad();
  DrawFaults();
  Supervise();
  std::optional<absl::Duration> settled;
  const absl::Duration last = kHealed + kFinish;
  absl::Duration next_look = absl::ZeroDuration();
  while (world_.Step(settled.has_value() ? *settled + absl::Seconds(15) : last)) {
    if (!checkers_.violations().empty()) break;
    if (settled.has_value() || world_.now() < next_look) continue;
    next_look = world_.now() + absl::Milliseconds(500);
    if (AllSealed()) settled = world_.now();
  }
  if (checkers_.violations().empty()) {
    checkers_.AtEnd();
    for (const Wanted& wanted : wanted_) {
      if (wanted.run_id.empty()) {
        report_.violations.push_back("[no_starvation] a run was never admitted");
      }
    }
  }
  for (const std::string& violation : checkers_.violations()) {
    report_.violations.push_back(violation);
  }
  report_.tail.assign(world_.tail().begin(), world_.tail().end());
  coordinators_.clear();
  agents_.clear();
  return std::move(report_);
}

Report Simulate(uint64_t seed) { return Scenario(seed).Run(); }

}  // namespace picket::simulation
