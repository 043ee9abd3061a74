#include "tests/simulation/scenario.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/proto_time.h"
#include "coordinator/store/store.h"
#include "tests/simulation/checkers.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/sim_agent.h"
#include "tests/simulation/sim_coordinator.h"
#include "tests/simulation/wire.h"
#include "tests/simulation/world.h"

namespace picket::simulation {
namespace {

// Faults begin before the first, and are over by the second: what they did lasts that
// long at most. A healed fleet is done within the third.
constexpr absl::Duration kHealed = absl::Seconds(60);
constexpr absl::Duration kCalm = absl::Seconds(90);
constexpr absl::Duration kFinish = absl::Seconds(700);
constexpr absl::Duration kLongDeadline = absl::Seconds(900);

class Scenario {
 public:
  explicit Scenario(uint64_t seed)
      : world_(seed),
        store_(MakeMemoryStore(&world_.store_clock())),
        oracle_(seed),
        checkers_(&world_, store_.get(), &oracle_) {}

  Report Run();

 private:
  struct Wanted {
    v1::RunSpec spec;
    std::string request_id;
    std::string run_id;  // once admitted
  };
  // Between an agent and a coordinator; both ways or one.
  struct Partition {
    size_t agent = 0, coordinator = 0;
    bool up = false, down = false;
    absl::Duration until;
  };

  Random& random() { return world_.random(); }
  bool Draw(double p) { return random().Chance(p); }
  uint32_t Pick(uint32_t least, uint32_t most) {
    return least + static_cast<uint32_t>(random().Below(most - least + 1));
  }

  void DrawFleet();
  void DrawLoad();
  void DrawFaults();
  void DrawDeaths();
  void DrawLinkFaults();
  void DrawStoreFaults();
  v1::Test DrawTest(int number);
  void StartCoordinator(size_t index);
  std::shared_ptr<Stream> Dial(size_t agent);
  SimCoordinator* AnyCoordinator(size_t* index = nullptr);
  void Submit(size_t index);
  void Ask(size_t index);
  void Part(size_t agent, size_t coordinator, bool up, bool down, absl::Duration until);
  void Every(absl::Duration mean, std::function<void()> what);
  void Supervise();
  bool AllSealed();

  World world_;
  std::unique_ptr<Store> store_;
  Oracle oracle_;
  Checkers checkers_;
  WireOptions wire_;
  StoreFaults store_faults_;
  bool exclusive_ = true;
  std::vector<std::string> locations_;
  std::vector<std::unique_ptr<SimAgent>> agents_;
  std::vector<std::unique_ptr<SimCoordinator>> coordinators_;
  std::vector<std::weak_ptr<Stream>> streams_;
  std::vector<Partition> partitions_;
  double asks_twice_ = 0;  // a client's request goes to two coordinators
  std::vector<Wanted> wanted_;
  Report report_;
};

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

// Nothing passes between the two until then, on streams that are open and on new ones.
void Scenario::Part(size_t agent, size_t coordinator, bool up, bool down, absl::Duration until) {
  partitions_.push_back({agent, coordinator, up, down, until});
  for (const std::weak_ptr<Stream>& weak : streams_) {
    const auto stream = weak.lock();
    if (stream == nullptr || stream->agent_at != agent || stream->coordinator_at != coordinator) {
      continue;
    }
    if (up) stream->HoldUp(true, until);
    if (down) stream->HoldUp(false, until);
  }
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

// At random times, about `mean` apart, until the fleet is healed.
void Scenario::Every(absl::Duration mean, std::function<void()> what) {
  const absl::Duration wait = mean * (0.2 + 1.6 * random().Uniform());
  if (world_.now() + wait > kHealed) return;
  world_.After(wait, [this, mean, what] {
    what();
    Every(mean, what);
  });
}

void Scenario::DrawFaults() {
  if (Draw(0.1)) {
    absl::StrAppend(&report_.summary, ", no faults");
    return;
  }
  checkers_.CalmFrom(kCalm);
  DrawDeaths();
  DrawLinkFaults();
  DrawStoreFaults();
  if (Draw(0.2)) {
    absl::StrAppend(&report_.summary, ", clock jumps");
    Every(absl::Seconds(20), [this] {
      const absl::Duration by = world_.Between(absl::Seconds(-5), absl::Seconds(15));
      world_.Note(absl::StrCat("the store's clock jumps by ", absl::FormatDuration(by)));
      world_.store_clock().JumpWall(by);
    });
  }
  if (Draw(0.2)) {
    absl::StrAppend(&report_.summary, ", drains");
    Every(absl::Seconds(Pick(8, 25)),
          [this] { agents_[random().Below(agents_.size())]->Drain(); });
  }
}

void Scenario::DrawDeaths() {
  if (Draw(0.6)) {
    absl::StrAppend(&report_.summary, ", agents die");
    Every(absl::Seconds(Pick(3, 20)), [this] {
      SimAgent& agent = *agents_[random().Below(agents_.size())];
      if (!agent.running()) return;
      ++report_.kills;
      agent.Kill(Draw(0.8) ? world_.Between(absl::ZeroDuration(), absl::Milliseconds(50))
                           : world_.Between(absl::Seconds(1), absl::Seconds(30)));
    });
  }
  if (Draw(0.5)) {
    absl::StrAppend(&report_.summary, ", coordinators die");
    Every(absl::Seconds(Pick(4, 25)), [this] {
      const size_t index = random().Below(coordinators_.size());
      if (coordinators_[index] == nullptr) return;
      ++report_.kills;
      coordinators_[index] = nullptr;
      world_.After(world_.Between(absl::Milliseconds(100), absl::Seconds(12)), [this, index] {
        if (coordinators_[index] == nullptr) StartCoordinator(index);
      });
    });
  }
  if (Draw(0.3)) {
    absl::StrAppend(&report_.summary, ", agents freeze");
    Every(absl::Seconds(Pick(5, 20)), [this] {
      SimAgent& agent = *agents_[random().Below(agents_.size())];
      if (agent.running()) {
        agent.Freeze(world_.now() + world_.Between(absl::Seconds(1), absl::Seconds(20)));
      }
    });
  }
}

void Scenario::DrawLinkFaults() {
  const auto any_stream = [this] {
    return streams_.empty() ? nullptr : streams_[random().Below(streams_.size())].lock();
  };
  if (Draw(0.5)) {
    absl::StrAppend(&report_.summary, ", streams break");
    Every(absl::Seconds(Pick(1, 10)), [this, any_stream] {
      const auto stream = any_stream();
      if (stream == nullptr) return;
      const auto notice = [this] {
        return Draw(0.5) ? world_.Between(absl::ZeroDuration(), absl::Milliseconds(20))
                         : world_.Between(absl::Milliseconds(20), absl::Seconds(25));
      };
      if (Draw(0.5)) {
        stream->Cut(notice(), notice());
      } else {
        stream->Linger(notice(), notice());
      }
    });
  }
  if (Draw(0.4)) {
    absl::StrAppend(&report_.summary, ", one-way partitions");
    Every(absl::Seconds(Pick(3, 12)), [this, any_stream] {
      const auto stream = any_stream();
      if (stream == nullptr) return;
      const bool up = Draw(0.5);
      Part(stream->agent_at, stream->coordinator_at, up, !up,
           world_.now() + world_.Between(absl::Seconds(1), absl::Seconds(25)));
    });
  }
  if (Draw(0.3)) {
    absl::StrAppend(&report_.summary, ", partitions");
    Every(absl::Seconds(Pick(5, 20)), [this] {
      // One agent, or a whole place, from one coordinator or from all.
      const size_t agent = random().Below(agents_.size());
      const size_t coordinator = random().Below(coordinators_.size());
      const bool place = Draw(0.3), all = Draw(0.5);
      const absl::Duration until =
          world_.now() + world_.Between(absl::Seconds(1), absl::Seconds(25));
      for (size_t a = 0; a < agents_.size(); ++a) {
        if (a != agent && !(place && agents_[a]->location() == agents_[agent]->location())) continue;
        for (size_t c = 0; c < coordinators_.size(); ++c) {
          if (c == coordinator || all) Part(a, c, true, true, until);
        }
      }
    });
  }
  if (Draw(0.2)) {
    absl::StrAppend(&report_.summary, ", doubled messages");
    wire_.twice = 0.1;
    asks_twice_ = 0.5;
    world_.At(kHealed, [this] { wire_.twice = 0; });
  }
}

void Scenario::DrawStoreFaults() {
  if (Draw(0.4)) {
    absl::StrAppend(&report_.summary, ", store errors");
    store_faults_.refuse = 0.05;
    store_faults_.mute = 0.05;
    if (Draw(0.5)) store_faults_.slow = 0.01;
    if (Draw(0.5)) store_faults_.ghost = 0.03;
    if (Draw(0.5)) store_faults_.read = 0.02;
    world_.At(kHealed, [this] {
      store_faults_ = {.commit_least = store_faults_.commit_least,
                       .commit_most = store_faults_.commit_most};
    });
  }
  if (Draw(0.2)) {
    absl::StrAppend(&report_.summary, ", slow commits");
    store_faults_.commit_most = absl::Milliseconds(200);
  }
  if (Draw(0.3)) {
    absl::StrAppend(&report_.summary, ", coordinators cut from the store");
    Every(absl::Seconds(Pick(5, 20)), [this] {
      SimCoordinator* coordinator = AnyCoordinator();
      if (coordinator == nullptr) return;
      coordinator->CutStore(world_.now() + world_.Between(absl::Seconds(1), absl::Seconds(20)));
    });
  }
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

}  // namespace

Report Simulate(uint64_t seed) { return Scenario(seed).Run(); }

}  // namespace picket::simulation
