#include "coordinator/core/planner.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"
#include "common/policy/plan_shape.h"
#include "common/policy/sha256.h"
#include "coordinator/core/proto_time.h"
#include "coordinator/core/seal.h"

namespace picket {
namespace {

// Shards are cut so that each agent gets about this many of the size in hand.
constexpr uint64_t kShardsPerAgent = 3;
constexpr uint32_t kShardLeast = 8;
// Of an agent that nobody has seen yet: its default.
constexpr uint64_t kUsualCapacity = 100;
// When nothing is known of any test.
constexpr uint32_t kUnknownUs = 100'000;

// The rows of one test at one location: consecutive executions, alike in length.
struct Block {
  uint32_t first = 0;
  uint32_t count = 0;
  uint32_t expected_us = 0;  // 0 = unknown
  int32_t priority = 0;
  bool skipped = false;
};

int32_t ClampedPriority(int32_t run, int32_t test) {
  const int32_t most = DefaultLimits().priority_most;
  return static_cast<int32_t>(
      std::clamp<int64_t>(int64_t{run} + int64_t{test}, -most, most));
}

std::map<std::string, std::vector<Block>> BlocksByLocation(const PlanShape& shape,
                                                           const std::vector<TestRow>& tests,
                                                           const PlanRequest& request) {
  std::map<std::string, std::vector<Block>> blocks;
  size_t key = 0;
  for (size_t i = 0; i < tests.size(); ++i) {
    const TestShape& test = shape.tests()[i];
    const int32_t priority = ClampedPriority(request.spec.priority(), tests[i].test.priority());
    for (uint32_t l = 0; l < test.locations.size(); ++l, ++key) {
      if (test.rows == 0) continue;
      const uint32_t expected = key < request.durations.size() ? request.durations[key] : 0;
      blocks[test.locations[l]].push_back({.first = test.Number(l, 0),
                                           .count = test.rows,
                                           .expected_us = expected,
                                           .priority = priority,
                                           .skipped = test.skipped});
    }
  }
  return blocks;
}

uint32_t TypicalUs(const std::map<std::string, std::vector<Block>>& blocks) {
  uint64_t sum = 0, known = 0;
  for (const auto& [location, list] : blocks) {
    for (const Block& block : list) {
      if (block.expected_us == 0) continue;
      sum += uint64_t{block.expected_us} * block.count;
      known += block.count;
    }
  }
  return known == 0 ? kUnknownUs : static_cast<uint32_t>(sum / known);
}

// Cuts one location's work into shards.
class Cutter {
 public:
  Cutter(const std::string& run_id, const std::string& location, uint64_t agents,
         uint32_t typical_us, std::vector<ShardRow>& shards)
      : run_id_(run_id), location_(location), agents_(agents), typical_us_(typical_us),
        shards_(shards) {}

  void Cut(std::vector<Block>& blocks) {
    std::stable_sort(blocks.begin(), blocks.end(), [this](const Block& a, const Block& b) {
      if (a.skipped != b.skipped) return b.skipped;
      if (a.priority != b.priority) return a.priority > b.priority;
      return Us(a) > Us(b);
    });
    for (const Block& block : blocks) {
      if (block.skipped) continue;
      work_ += uint64_t{Us(block)} * block.count;
      longest_ = std::max<uint64_t>(longest_, Us(block));
    }
    const Block* last = nullptr;
    for (const Block& block : blocks) {
      if (last != nullptr &&
          (last->priority != block.priority || last->skipped != block.skipped)) {
        Close();
      }
      for (uint32_t i = 0; i < block.count; ++i) Add(block, block.first + i);
      last = &block;
    }
    Close();
  }

  uint64_t work() const { return work_; }
  // The longest execution, microseconds.
  uint64_t longest() const { return longest_; }

 private:
  uint32_t Us(const Block& block) const {
    return block.expected_us == 0 ? typical_us_ : block.expected_us;
  }

  void Add(const Block& block, uint32_t execution) {
    if (!open_) {
      open_ = true;
      shard_ = ShardRow{.run_id = run_id_,
                        .shard = static_cast<uint32_t>(shards_.size()),
                        .location = location_,
                        .priority = block.priority};
      shard_work_ = 0;
      target_ = (work_ - cut_) / (kShardsPerAgent * agents_);
    }
    shard_.executions.push_back(execution);
    shard_.ends.push_back(block.skipped ? MakeEnd(v1::End::SKIPPED) : kUndecided);
    if (!block.skipped) shard_work_ += Us(block);
    const size_t count = shard_.executions.size();
    if (count >= kShardMost || (!block.skipped && count >= kShardLeast && shard_work_ >= target_)) {
      Close();
    }
  }

  void Close() {
    if (!open_) return;
    open_ = false;
    cut_ += shard_work_;
    shard_.expected_us = static_cast<uint32_t>(std::min<uint64_t>(
        shard_work_ / shard_.executions.size(), std::numeric_limits<uint32_t>::max()));
    shard_.executions.shrink_to_fit();
    shard_.ends.shrink_to_fit();
    shards_.push_back(std::move(shard_));
  }

  const std::string& run_id_;
  const std::string& location_;
  const uint64_t agents_;
  const uint32_t typical_us_;
  std::vector<ShardRow>& shards_;
  uint64_t work_ = 0;  // of the location, microseconds
  uint64_t longest_ = 0;
  uint64_t cut_ = 0;  // of it, in shards that are closed
  bool open_ = false;
  ShardRow shard_;
  uint64_t shard_work_ = 0;
  uint64_t target_ = 0;
};

// Moves the tests out of the spec.
std::vector<TestRow> TakeTests(v1::RunSpec& spec, const PlanShape& shape) {
  std::vector<TestRow> tests;
  tests.reserve(shape.tests().size());
  for (v1::Suite& suite : *spec.mutable_suites()) {
    for (v1::Test& test : *suite.mutable_tests()) {
      TestRow row;
      row.index = static_cast<uint32_t>(tests.size());
      row.first_execution = shape.tests()[row.index].first;
      row.test = std::move(test);
      if (row.test.has_for_each()) {
        row.rows.Swap(row.test.mutable_for_each());
        *row.test.mutable_for_each()->mutable_columns() = row.rows.columns();
      }
      row.digest = Sha256Digest(row.test.SerializeAsString());
      tests.push_back(std::move(row));
    }
  }
  return tests;
}

RunRow DescribeRun(const PlanRequest& request, const PlanShape& shape) {
  const v1::RunSpec& spec = request.spec;
  RunRow row;
  row.request_id = request.request_id;
  row.spec_digest = request.spec_digest;
  row.fail_fast = spec.fail_fast();
  row.priority = spec.priority();
  row.expect_agents = spec.expect_agents();
  row.executions = shape.executions();
  v1::Run& run = row.run;
  std::vector<std::string> names;
  for (const v1::Suite& suite : spec.suites()) {
    if (std::find(names.begin(), names.end(), suite.name()) == names.end()) {
      names.push_back(suite.name());
    }
    if (suite.max_failures() > 0 &&
        (row.max_failures == 0 || suite.max_failures() < row.max_failures)) {
      row.max_failures = suite.max_failures();
    }
    for (const auto& [key, value] : suite.labels()) (*run.mutable_labels())[key] = value;
  }
  for (const auto& [key, value] : spec.labels()) (*run.mutable_labels())[key] = value;
  run.set_run_id(request.run_id);
  run.set_project(request.project);
  run.set_suite(absl::StrJoin(names, ", "));
  run.set_state(v1::Run::QUEUED);
  run.set_trigger(spec.trigger());
  run.set_baseline(spec.baseline());
  run.set_local(spec.local());
  run.set_plan_version(1);
  run.set_schedule_id(spec.schedule_id());
  run.set_test_count(static_cast<uint32_t>(shape.tests().size()));
  run.mutable_ledger()->set_planned(shape.executions());
  SetTimestamp(request.now, run.mutable_create_time());
  const absl::Duration deadline =
      spec.has_deadline() ? DurationOf(spec.deadline()) : DefaultLimits().deadline_default;
  SetTimestamp(request.now + std::min(deadline, DefaultLimits().deadline_longest),
               run.mutable_deadline_time());
  return row;
}

uint64_t CeilDiv(uint64_t a, uint64_t b) { return b == 0 ? 0 : (a + b - 1) / b; }

// Adds one location's share to the estimate. `expected`: agents that are to be there.
void Estimate(const std::string& location, uint64_t work_us, uint64_t longest_us,
              const Fleet& fleet, uint64_t expected, absl::Duration deadline,
              v1::PlanEstimate& estimate, uint64_t& needed) {
  const auto it = fleet.find(location);
  FleetLocation at = it == fleet.end() ? FleetLocation() : it->second;
  if (at.agents == 0) {
    estimate.add_locations_without_agents(location);
    at = {.agents = 0, .capacity = 0};
  }
  if (expected > at.agents) {
    // Those to come are like those that live.
    const uint64_t each = at.agents == 0 ? kUsualCapacity : CeilDiv(at.capacity, at.agents);
    at = {.agents = static_cast<uint32_t>(expected),
          .capacity = static_cast<uint32_t>(each * expected)};
  }
  if (at.agents == 0) {
    ++needed;
    return;
  }
  const uint64_t capacity = std::max<uint64_t>(1, at.capacity);
  estimate.set_agents(estimate.agents() + at.agents);
  const uint64_t ms = CeilDiv(std::max(CeilDiv(work_us, capacity), longest_us), 1000);
  estimate.set_expected_ms(
      static_cast<uint32_t>(std::max<uint64_t>(estimate.expected_ms(), ms)));
  const uint64_t deadline_us =
      static_cast<uint64_t>(std::max<int64_t>(1, absl::ToInt64Microseconds(deadline)));
  needed += std::max<uint64_t>(1, CeilDiv(work_us * at.agents, capacity * deadline_us));
}

}  // namespace

absl::StatusOr<RunPlanned> PlanRun(PlanRequest request) {
  ABSL_ASSIGN_OR_RETURN(const PlanShape shape, PlanShape::Of(request.spec));
  RunPlanned planned;
  AdmitRun& admit = planned.admit;
  admit.run = DescribeRun(request, shape);
  admit.tests = TakeTests(request.spec, shape);
  for (v1::Blob& blob : *request.spec.mutable_blobs()) admit.blobs.push_back(std::move(blob));

  auto blocks = BlocksByLocation(shape, admit.tests, request);
  const uint32_t typical_us = TypicalUs(blocks);
  const bool known = std::any_of(request.durations.begin(), request.durations.end(),
                                 [](uint32_t us) { return us > 0; });
  const absl::Duration deadline =
      TimeOf(admit.run.run.deadline_time()) - TimeOf(admit.run.run.create_time());
  uint64_t needed = 0;
  const uint64_t expected = CeilDiv(
      std::min(request.spec.expect_agents(), kAgentsExpectedMost), blocks.size());  // of each
  for (auto& [location, list] : blocks) {
    const auto it = request.fleet.find(location);
    const uint64_t agents = std::max<uint64_t>(
        {uint64_t{1}, it == request.fleet.end() ? 0 : it->second.agents, expected});
    Cutter cutter(admit.run.run.run_id(), location, agents, typical_us, admit.shards);
    cutter.Cut(list);
    if (cutter.work() > 0) {
      Estimate(location, cutter.work(), cutter.longest(), request.fleet, expected, deadline,
               planned.estimate, needed);
    }
  }
  if (!known) planned.estimate.clear_expected_ms();
  if (known && needed > planned.estimate.agents()) {
    planned.estimate.set_agents_needed(static_cast<uint32_t>(needed));
  }

  RunRow& run = admit.run;
  run.shards = static_cast<uint32_t>(admit.shards.size());
  for (const ShardRow& shard : admit.shards) {
    for (EndByte end : shard.ends) {
      if (end == kUndecided) {
        ++run.undecided;
      } else {
        run.run.mutable_ledger()->set_skipped(run.run.ledger().skipped() + 1);
      }
    }
  }
  if (run.undecided == 0) {
    SealRun(admit.tests, v1::EndCause::COMPLETE, request.now, admit.shards, run);
  }
  return planned;
}

}  // namespace picket
