#include "tests/simulation/checkers.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/policy/plan_shape.h"

namespace picket::simulation {
namespace {

const v1::Test* TestOf(const v1::RunSpec& spec, const PlanShape& shape, uint32_t execution) {
  uint32_t index = shape.At(execution).test;
  for (const v1::Suite& suite : spec.suites()) {
    if (index < static_cast<uint32_t>(suite.tests_size())) {
      return &suite.tests(static_cast<int>(index));
    }
    index -= static_cast<uint32_t>(suite.tests_size());
  }
  return nullptr;
}

// The verdict rule for tests that all block and want every location, written apart
// from the production code.
v1::Verdict::Value ExpectedVerdict(const PlanShape& shape, const std::vector<EndByte>& ends) {
  bool any_failed = false, any_unclear = false, any_passed = false;
  for (const TestShape& test : shape.tests()) {
    for (uint32_t row = 0; row < test.rows; ++row) {
      uint32_t n = 0, passed = 0, failed = 0;
      for (uint32_t l = 0; l < test.locations.size(); ++l) {
        const v1::End::Value end = EndOf(ends[test.Number(l, row)]);
        if (end == v1::End::SKIPPED) continue;
        ++n;
        passed += end == v1::End::PASSED;
        failed += end == v1::End::FAILED;
      }
      if (n == 0) continue;
      if (passed == n) {
        any_passed = true;
      } else if (failed > 0) {
        any_failed = true;
      } else {
        any_unclear = true;
      }
    }
  }
  if (any_failed) return v1::Verdict::FAILED;
  if (any_unclear || !any_passed) return v1::Verdict::INCONCLUSIVE;
  return v1::Verdict::PASSED;
}

}  // namespace

void Checkers::Violate(std::string what) {
  world_->Note(absl::StrCat("VIOLATION ", what));
  violations_.push_back(absl::StrCat(absl::FormatDuration(world_->now()), ": ", std::move(what)));
}

void Checkers::OnCommitted(const std::vector<Proposal>& proposals, const CommitResult& result) {
  for (size_t i = 0; i < proposals.size(); ++i) {
    if (!result.outcomes[i].committed) continue;
    if (const auto* write = std::get_if<WriteShard>(&proposals[i])) {
      for (const LeaseRow& lease : write->grant) {
        if (!granted_.insert({lease.run_id, lease.shard, lease.epoch}).second) {
          Violate(absl::StrCat("two leases under one epoch: run ", lease.run_id, " shard ",
                               lease.shard, " epoch ", lease.epoch));
        }
      }
    }
    for (const RunRow& row : result.outcomes[i].sealed) {
      const auto [it, fresh] = sealed_.emplace(row.run.run_id(), row.run);
      if (!fresh) Violate(absl::StrCat("run ", row.run.run_id(), " was sealed twice"));
    }
  }
}

void Checkers::OnRunTold(const v1::Run& run) {
  const absl::StatusOr<RunRow> row = store_->GetRun(run.run_id());
  if (!row.ok()) {
    Violate(absl::StrCat("told of run ", run.run_id(), ", which is not stored"));
    return;
  }
  if (run.state() != v1::Run::SEALED) return;
  if (row->run.SerializeAsString() != run.SerializeAsString()) {
    Violate(absl::StrCat("told of a sealed run ", run.run_id(), " other than the stored one: ",
                         run.ShortDebugString(), " / ", row->run.ShortDebugString()));
  }
}

void Checkers::OnRunAdmitted(const v1::Run& run, const v1::RunSpec& spec) {
  OnRunTold(run);
  runs_.emplace(run.run_id(), Admitted{spec, run});
}

void Checkers::OnSpooled(const std::string& spool, uint64_t sequence,
                         const v1::LeaseResults& results) {
  spooled_[{spool, sequence}] =
      Spooled{results.lease().run_id(), results.results(0).execution(), results.lease().epoch()};
}

void Checkers::OnAck(const std::string& spool, const v1::ResultAck& ack) {
  uint64_t& acked = acked_[spool];
  for (uint64_t sequence = acked + 1; sequence <= ack.through(); ++sequence) {
    const auto it = spooled_.find({spool, sequence});
    if (it == spooled_.end()) {
      Violate(absl::StrCat("acknowledged result ", sequence, " of spool ", spool,
                           ", which was never made"));
      continue;
    }
    const Spooled& result = it->second;
    const bool dropped = std::any_of(
        ack.dropped().begin(), ack.dropped().end(), [&](const v1::ResultAck::Dropped& d) {
          return d.run_id() == result.run && d.execution() == result.execution;
        });
    if (dropped) {
      Violate(absl::StrCat("a good result was dropped: run ", result.run, " execution ",
                           result.execution, ": ", ack.dropped(0).reason()));
      continue;
    }
    const absl::StatusOr<std::vector<ResultRow>> rows =
        store_->LoadResults(result.run, result.execution, 1);
    const bool stored =
        rows.ok() && std::any_of(rows->begin(), rows->end(), [&](const ResultRow& row) {
          return row.epoch == result.epoch;
        });
    if (!stored) {
      Violate(absl::StrCat("told but not stored: run ", result.run, " execution ",
                           result.execution, " epoch ", result.epoch));
    }
  }
  acked = std::max(acked, ack.through());
}

void Checkers::OnStarted(const std::string& run, uint32_t execution, uint32_t attempt) {
  const auto it = runs_.find(run);
  if (it == runs_.end()) return;
  const absl::StatusOr<PlanShape> shape = PlanShape::Of(it->second.spec);
  const v1::Test* test = TestOf(it->second.spec, *shape, execution);
  if (test->repeatable()) return;
  uint32_t& starts = starts_[{absl::StrCat(run, "/", attempt), execution}];
  if (++starts > 1) {
    Violate(absl::StrCat("run ", run, " execution ", execution, " attempt ", attempt,
                         " is not repeatable and was started ", starts, " times"));
  }
}

void Checkers::AtEnd() {
  for (const auto& [run_id, admitted] : runs_) CheckRun(run_id, admitted);
}

void Checkers::CheckRun(const std::string& run_id, const Admitted& admitted) {
  const absl::StatusOr<RunRow> row = store_->GetRun(run_id);
  if (!row.ok()) return Violate(absl::StrCat("run ", run_id, " was admitted and is lost"));
  if (row->run.state() != v1::Run::SEALED) {
    std::string where;
    const absl::StatusOr<std::vector<ShardRow>> left = store_->LoadShards(run_id);
    for (const ShardRow& shard : *left) {
      for (uint32_t p = 0; p < shard.ends.size(); ++p) {
        if (shard.ends[p] != kUndecided) continue;
        absl::StrAppend(&where, "; execution ", shard.executions[p], " of shard ", shard.shard);
        absl::StrAppend(&where, p < shard.leased.size() && shard.leased[p] ? " leased" : "");
        const auto mark = shard.marks.find(p);
        if (mark == shard.marks.end()) continue;
        absl::StrAppend(&where, " losses ", mark->second.losses,
                        " attempts ", mark->second.attempts, " started ", mark->second.started,
                        " not before ", absl::FormatTime(mark->second.not_before), " give up ",
                        absl::FormatTime(mark->second.give_up));
      }
    }
    const absl::StatusOr<std::vector<LeaseRow>> leases = store_->LoadLeases(run_id);
    for (const LeaseRow& lease : *leases) {
      absl::StrAppend(&where, "; live lease ", lease.shard, "/", lease.epoch, " of ", lease.agent,
                      lease.isolated ? " isolated" : "");
    }
    return Violate(absl::StrCat("run ", run_id, " never ended: ", row->undecided, " of ",
                                row->executions, " undecided", where));
  }
  const auto first = sealed_.find(run_id);
  if (first != sealed_.end() && first->second.SerializeAsString() != row->run.SerializeAsString()) {
    Violate(absl::StrCat("the verdict of run ", run_id, " changed"));
  }
  const absl::StatusOr<std::vector<ShardRow>> shards = store_->LoadShards(run_id);
  std::vector<EndByte> ends(row->executions, kUndecided);
  for (const ShardRow& shard : *shards) {
    for (size_t i = 0; i < shard.executions.size(); ++i) {
      ends[shard.executions[i]] = shard.ends[i];
    }
  }
  CheckEnds(*row, admitted, ends);
}

// Attempts are made at the execution's own place, probes at another of the test's, one a
// place, after what decided it and only where the test asks for them.
void Checkers::CheckProbes(const std::string& name, const v1::Test& test,
                           const std::string& location, const std::vector<ResultRow>& rows) {
  std::set<std::string> places;
  bool decided = false;
  for (const ResultRow& row : rows) {
    for (const v1::Attempt& attempt : row.result.attempts()) {
      if (!attempt.probe()) {
        if (attempt.location() != location) {
          Violate(absl::StrCat(name, " was tried at ", attempt.location()));
        }
        continue;
      }
      if (row.deciding) Violate(absl::StrCat(name, " was decided by a probe"));
      if (row.late) continue;
      if (!decided) Violate(absl::StrCat(name, " was probed before it was decided"));
      if (attempt.location() == location ||
          std::count(test.locations().begin(), test.locations().end(), attempt.location()) == 0 ||
          !places.insert(attempt.location()).second) {
        Violate(absl::StrCat(name, " was probed at ", attempt.location()));
      }
      if (test.retry().where(test.retry().where_size() - 1) != v1::Retry::ANYWHERE) {
        Violate(absl::StrCat(name, " was probed, and its test does not ask for it"));
      }
    }
    decided |= row.deciding;
  }
}

void Checkers::CheckEnds(const RunRow& row, const Admitted& admitted,
                         const std::vector<EndByte>& ends) {
  const std::string& run_id = row.run.run_id();
  const PlanShape shape = *PlanShape::Of(admitted.spec);
  v1::Ledger ledger;
  for (uint32_t e = 0; e < ends.size(); ++e) {
    const v1::Test& test = *TestOf(admitted.spec, shape, e);
    AddToLedger(ends[e], ledger);
    const absl::StatusOr<std::vector<ResultRow>> rows = store_->LoadResults(run_id, e, 1);
    std::vector<const ResultRow*> deciding;
    uint32_t attempts = 0;
    for (const ResultRow& result : *rows) {
      if (result.deciding) deciding.push_back(&result);
      if (!result.late && result.result.reason() != v1::FailureReason::agent_lost &&
          result.result.reason() != v1::FailureReason::lost_maybe_ran) {
        attempts += static_cast<uint32_t>(result.result.attempts_size());
      }
    }
    const std::string name = absl::StrCat("run ", run_id, " execution ", e, " (", test.id(), ")");
    const Position at = shape.At(e);
    CheckProbes(name, test, shape.tests()[at.test].locations[at.location], *rows);
    if (IsProbing(ends[e])) Violate(absl::StrCat(name, " still waits for a probe"));
    const v1::End::Value end = EndOf(ends[e]);
    const bool by_result = end == v1::End::PASSED || end == v1::End::FAILED ||
                           end == v1::End::INCONCLUSIVE;
    if (deciding.size() != (by_result ? 1 : 0)) {
      Violate(absl::StrCat(name, " ended ", v1::End::Value_Name(end), " with ", deciding.size(),
                           " deciding results"));
      continue;
    }
    if (attempts > test.retry().attempts()) {
      Violate(absl::StrCat(name, " had ", attempts, " attempts of ", test.retry().attempts()));
    }
    if (end == v1::End::UNDECIDED) Violate(absl::StrCat(name, " has no end"));
    if (!by_result) continue;
    const v1::FailureReason::Value reason = deciding[0]->result.reason();
    const bool lost = end == v1::End::INCONCLUSIVE &&
                      (reason == v1::FailureReason::agent_lost ||
                       reason == v1::FailureReason::lost_maybe_ran);
    if (!lost && ends[e] != oracle_->End(test, e)) {
      Violate(absl::StrCat(name, " ended ", ends[e], ", the oracle says ",
                           oracle_->End(test, e), "; reason ",
                           v1::FailureReason::Value_Name(reason)));
    }
    if (reason == v1::FailureReason::lost_maybe_ran && test.repeatable()) {
      Violate(absl::StrCat(name, " is repeatable and ended lost_maybe_ran"));
    }
  }
  if (ledger.SerializeAsString() != row.run.ledger().SerializeAsString()) {
    Violate(absl::StrCat("the ledger of run ", run_id, " is ",
                         row.run.ledger().ShortDebugString(), ", its ends add up to ",
                         ledger.ShortDebugString()));
  }
  if (row.run.verdict() != ExpectedVerdict(shape, ends)) {
    Violate(absl::StrCat("the verdict of run ", run_id, " is ",
                         v1::Verdict::Value_Name(row.run.verdict()), ", its ends say ",
                         v1::Verdict::Value_Name(ExpectedVerdict(shape, ends))));
  }
}

}  // namespace picket::simulation
