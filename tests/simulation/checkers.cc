#include "tests/simulation/checkers.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/policy/plan_shape.h"

namespace picket::simulation {
namespace {

// After its deadline, or once all faults are over, a run ends within this.
constexpr absl::Duration kDeadlineSlack = absl::Seconds(5);

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

bool ByResult(EndByte byte) {
  const v1::End::Value end = EndOf(byte);
  return end == v1::End::PASSED || end == v1::End::FAILED || end == v1::End::INCONCLUSIVE;
}

uint32_t Decided(const v1::Ledger& l) {
  return l.passed() + l.failed() + l.inconclusive() + l.skipped() + l.cancelled() + l.expired() +
         l.unassigned();
}

bool IsLost(const v1::ExecutionResult& result) {
  return result.reason() == v1::FailureReason::agent_lost ||
         result.reason() == v1::FailureReason::lost_maybe_ran;
}

}  // namespace

absl::string_view NameOf(Check check) {
  switch (check) {
    case Check::kOneDecider: return "one_decider";
    case Check::kLeaseEpochs: return "lease_epochs";
    case Check::kToldStored: return "told_stored";
    case Check::kVerdictStays: return "verdict_stays";
    case Check::kOracle: return "oracle";
    case Check::kDeadline: return "deadline";
    case Check::kAttempts: return "attempts";
    case Check::kNoStarvation: return "no_starvation";
    case Check::kRunsOnce: return "runs_once";
  }
  return "?";
}

void Checkers::Violate(Check check, std::string what) {
  world_->Note(absl::StrCat("VIOLATION ", NameOf(check), " ", what));
  violations_.push_back(absl::StrCat("[", NameOf(check), "] ",
                                     absl::FormatDuration(world_->now()), ": ", std::move(what)));
}

std::vector<std::vector<EndByte>> Checkers::EndsOf(const std::string& run_id) {
  std::vector<std::vector<EndByte>> ends;
  const std::vector<ShardRow> shards = *store_->LoadShards(run_id);
  for (const ShardRow& shard : shards) ends.push_back(shard.ends);
  return ends;
}

void Checkers::OnCommitted(const std::vector<Proposal>& proposals, const CommitResult& result) {
  for (size_t i = 0; i < proposals.size(); ++i) {
    const Outcome& outcome = result.outcomes[i];
    if (!outcome.committed) continue;
    if (const auto* write = std::get_if<WriteShard>(&proposals[i])) {
      if (sealed_.contains(write->shard.run_id)) {
        Violate(Check::kVerdictStays,
                absl::StrCat("a shard of the sealed run ", write->shard.run_id, " was written"));
      }
      for (const LeaseRow& lease : write->grant) {
        if (!granted_.insert({lease.run_id, lease.shard, lease.epoch}).second) {
          Violate(Check::kLeaseEpochs,
                  absl::StrCat("two leases under one epoch: run ", lease.run_id, " shard ",
                               lease.shard, " epoch ", lease.epoch));
        }
        for (uint32_t position : lease.positions) {
          ++efforts_[{lease.run_id, write->shard.executions[position]}].leases;
        }
      }
    }
    for (const RunRow& row : outcome.sealed) OnSealed(row);
  }
}

void Checkers::OnSealed(const RunRow& row) {
  const std::string& run_id = row.run.run_id();
  if (sealed_.contains(run_id)) {
    Violate(Check::kVerdictStays, absl::StrCat("run ", run_id, " was sealed twice"));
    return;
  }
  sealed_[run_id] = Sealed{row.run, EndsOf(run_id), world_->now()};
}

void Checkers::OnRunTold(const v1::Run& run) {
  const absl::StatusOr<RunRow> row = store_->GetRun(run.run_id());
  if (!row.ok()) {
    Violate(Check::kToldStored,
            absl::StrCat("told of run ", run.run_id(), ", which is not stored"));
    return;
  }
  if (run.state() != v1::Run::SEALED) return;
  if (row->run.SerializeAsString() != run.SerializeAsString()) {
    Violate(row->run.state() == v1::Run::SEALED ? Check::kVerdictStays : Check::kToldStored,
            absl::StrCat("told of a sealed run ", run.run_id(), " other than the stored one: ",
                         run.ShortDebugString(), " / ", row->run.ShortDebugString()));
  }
}

void Checkers::OnRunAdmitted(const v1::Run& run, const v1::RunSpec& spec) {
  OnRunTold(run);
  const absl::Duration deadline = absl::Seconds(spec.deadline().seconds());
  runs_.emplace(run.run_id(), Admitted{.spec = spec,
                                       .run = run,
                                       .deadline = world_->now() + deadline,
                                       .urgent = deadline < absl::Seconds(900)});
}

void Checkers::OnSameRequest(const std::string& run_id, const std::string& again) {
  if (run_id == again) return;
  Violate(Check::kToldStored,
          absl::StrCat("one request was admitted as run ", run_id, " and as run ", again));
}

void Checkers::OnProgressTold(const v1::Run& run) {
  if (run.state() == v1::Run::SEALED) return OnRunTold(run);
  uint32_t stored = 0;
  for (const std::vector<EndByte>& ends : EndsOf(run.run_id())) {
    stored += static_cast<uint32_t>(
        std::count_if(ends.begin(), ends.end(), [](EndByte end) { return end != kUndecided; }));
  }
  if (Decided(run.ledger()) > stored) {
    Violate(Check::kToldStored, absl::StrCat("run ", run.run_id(), " was shown with ",
                                             Decided(run.ledger()), " ends, the store has ",
                                             stored));
  }
}

void Checkers::OnGrant(const std::string& instance, const v1::LeaseGrant& grant) {
  const v1::LeaseId& id = grant.lease();
  const auto lease = store_->FindLease(id.run_id(), id.shard(), id.epoch());
  const std::string name =
      absl::StrCat("run ", id.run_id(), " shard ", id.shard(), " epoch ", id.epoch());
  if (!lease.ok() || !lease->has_value()) {
    Violate(Check::kToldStored, absl::StrCat("granted and not stored: ", name));
  } else if ((*lease)->instance != instance ||
             (*lease)->positions.size() != static_cast<size_t>(grant.executions_size())) {
    Violate(Check::kLeaseEpochs,
            absl::StrCat("granted to ", instance, ", stored for ", (*lease)->instance, ": ", name));
  }
}

void Checkers::OnStartedAck(const v1::StartedAck& ack) {
  const v1::LeaseId& id = ack.lease();
  const auto admitted = runs_.find(id.run_id());
  if (ack.executions().empty() || admitted == runs_.end()) return;
  const PlanShape shape = *PlanShape::Of(admitted->second.spec);
  const std::vector<ShardRow> shards = *store_->LoadShards(id.run_id());
  const ShardRow& shard = shards.at(id.shard());
  for (uint32_t execution : ack.executions()) {
    if (TestOf(admitted->second.spec, shape, execution)->repeatable()) continue;
    const auto at = std::find(shard.executions.begin(), shard.executions.end(), execution);
    const auto position = static_cast<uint32_t>(at - shard.executions.begin());
    const auto mark = shard.marks.find(position);
    if (shard.ends.at(position) == kUndecided &&
        (mark == shard.marks.end() || !mark->second.started)) {
      Violate(Check::kToldStored, absl::StrCat("told to start run ", id.run_id(), " execution ",
                                               execution, ", which is not marked in the store"));
    }
  }
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
      Violate(Check::kToldStored, absl::StrCat("acknowledged result ", sequence, " of spool ",
                                               spool, ", which was never made"));
      continue;
    }
    const Spooled& result = it->second;
    const bool dropped = std::any_of(
        ack.dropped().begin(), ack.dropped().end(), [&](const v1::ResultAck::Dropped& d) {
          return d.run_id() == result.run && d.execution() == result.execution;
        });
    if (dropped) {
      Violate(Check::kToldStored,
              absl::StrCat("a good result was dropped: run ", result.run, " execution ",
                           result.execution, ": ", ack.dropped(0).reason()));
      continue;
    }
    const std::vector<ResultRow> rows = *store_->LoadResults(result.run, result.execution, 1);
    if (std::none_of(rows.begin(), rows.end(),
                     [&](const ResultRow& row) { return row.epoch == result.epoch; })) {
      Violate(Check::kToldStored, absl::StrCat("told but not stored: run ", result.run,
                                               " execution ", result.execution, " epoch ",
                                               result.epoch));
    }
  }
  acked = std::max(acked, ack.through());
}

void Checkers::OnStarted(const std::string& run, uint32_t execution, uint32_t attempt) {
  const auto it = runs_.find(run);
  if (it == runs_.end()) return;
  const v1::Test& test = *TestOf(it->second.spec, *PlanShape::Of(it->second.spec), execution);
  Effort& effort = efforts_[{run, execution}];
  const uint32_t most = std::max(1u, test.retry().attempts()) * effort.leases;
  if (++effort.starts > most || attempt > std::max(1u, test.retry().attempts())) {
    Violate(Check::kAttempts, absl::StrCat("run ", run, " execution ", execution,
                                           " was started ", effort.starts, " times under ",
                                           effort.leases, " leases, now as attempt ", attempt,
                                           " of ", test.retry().attempts()));
  }
  if (test.repeatable()) return;
  const uint32_t starts = ++starts_[{run, execution, attempt}];
  if (starts > 1) {
    Violate(Check::kRunsOnce, absl::StrCat("run ", run, " execution ", execution, " attempt ",
                                           attempt, " is not repeatable and was started ", starts,
                                           " times"));
  }
}

void Checkers::AtEnd() {
  for (const auto& [run_id, admitted] : runs_) CheckRun(run_id, admitted);
}

void Checkers::CheckUnended(const RunRow& row) {
  const std::string& run_id = row.run.run_id();
  std::string where;
  const std::vector<ShardRow> shards = *store_->LoadShards(run_id);
  for (const ShardRow& shard : shards) {
    for (uint32_t p = 0; p < shard.ends.size(); ++p) {
      if (shard.ends[p] != kUndecided) continue;
      absl::StrAppend(&where, "; execution ", shard.executions[p], " of shard ", shard.shard);
      absl::StrAppend(&where, p < shard.leased.size() && shard.leased[p] ? " leased" : "");
      const auto mark = shard.marks.find(p);
      if (mark == shard.marks.end()) continue;
      absl::StrAppend(&where, " losses ", mark->second.losses, " attempts ", mark->second.attempts, " started ", mark->second.started,
                      " not before ", absl::FormatTime(mark->second.not_before), " give up ",
                      absl::FormatTime(mark->second.give_up));
    }
  }
  const std::vector<LeaseRow> leases = *store_->LoadLeases(run_id);
  for (const LeaseRow& lease : leases) {
    absl::StrAppend(&where, "; live lease ", lease.shard, "/", lease.epoch, " of ", lease.agent,
                    lease.isolated ? " isolated" : "");
  }
  Violate(world_->now() > runs_.at(run_id).deadline ? Check::kDeadline : Check::kNoStarvation,
          absl::StrCat("run ", run_id, " never ended: ", row.undecided, " of ", row.executions,
                       " undecided", where));
}

void Checkers::CheckRun(const std::string& run_id, const Admitted& admitted) {
  const absl::StatusOr<RunRow> row = store_->GetRun(run_id);
  if (!row.ok()) {
    return Violate(Check::kToldStored, absl::StrCat("run ", run_id, " was admitted and is lost"));
  }
  if (row->run.state() != v1::Run::SEALED) return CheckUnended(*row);
  const auto sealed = sealed_.find(run_id);
  if (sealed != sealed_.end()) {
    if (sealed->second.run.SerializeAsString() != row->run.SerializeAsString()) {
      Violate(Check::kVerdictStays, absl::StrCat("the verdict of run ", run_id, " changed"));
    }
    if (sealed->second.ends != EndsOf(run_id)) {
      Violate(Check::kVerdictStays,
              absl::StrCat("ends of run ", run_id, " changed after it was sealed"));
    }
    const absl::Duration latest = std::max(admitted.deadline, calm_) + kDeadlineSlack;
    if (sealed->second.when > latest) {
      Violate(Check::kDeadline, absl::StrCat("run ", run_id, " was sealed at ",
                                             absl::FormatDuration(sealed->second.when),
                                             ", its deadline was ",
                                             absl::FormatDuration(admitted.deadline)));
    }
  }
  // A healed fleet finishes what has time long before its deadline.
  if (!admitted.urgent && row->run.end_cause() == v1::EndCause::DEADLINE) {
    Violate(Check::kNoStarvation, absl::StrCat("run ", run_id, " starved until its deadline"));
  }
  std::vector<EndByte> ends(row->executions, kUndecided);
  const std::vector<ShardRow> shards = *store_->LoadShards(run_id);
  for (const ShardRow& shard : shards) {
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
          Violate(Check::kAttempts, absl::StrCat(name, " was tried at ", attempt.location()));
        }
        continue;
      }
      if (row.deciding) Violate(Check::kOneDecider, absl::StrCat(name, " was decided by a probe"));
      if (row.late) continue;
      if (!decided) Violate(Check::kAttempts, absl::StrCat(name, " was probed before it was decided"));
      if (attempt.location() == location ||
          std::count(test.locations().begin(), test.locations().end(), attempt.location()) == 0 ||
          !places.insert(attempt.location()).second) {
        Violate(Check::kAttempts, absl::StrCat(name, " was probed at ", attempt.location()));
      }
      if (test.retry().where(test.retry().where_size() - 1) != v1::Retry::ANYWHERE) {
        Violate(Check::kAttempts, absl::StrCat(name, " was probed, and its test does not ask for it"));
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
    AddToLedger(ends[e], ledger);
    const Position at = shape.At(e);
    CheckExecution(run_id, e, *TestOf(admitted.spec, shape, e),
                   shape.tests()[at.test].locations[at.location], ends[e]);
  }
  if (ledger.SerializeAsString() != row.run.ledger().SerializeAsString()) {
    Violate(Check::kOracle,
            absl::StrCat("the ledger of run ", run_id, " is ",
                         row.run.ledger().ShortDebugString(), ", its ends add up to ",
                         ledger.ShortDebugString()));
  }
  const v1::Verdict::Value expected = ExpectedVerdict(shape, ends);
  if (row.run.verdict() != expected) {
    Violate(Check::kOracle,
            absl::StrCat("the verdict of run ", run_id, " is ",
                         v1::Verdict::Value_Name(row.run.verdict()), ", its ends say ",
                         v1::Verdict::Value_Name(expected)));
  }
}

void Checkers::CheckExecution(const std::string& run_id, uint32_t execution,
                              const v1::Test& test, const std::string& location,
                              EndByte end) {
  const std::string name =
      absl::StrCat("run ", run_id, " execution ", execution, " (", test.id(), ")");
  const std::vector<ResultRow> rows = *store_->LoadResults(run_id, execution, 1);
  std::vector<const ResultRow*> deciding;
  uint32_t attempts = 0;
  for (const ResultRow& result : rows) {
    if (result.deciding) deciding.push_back(&result);
    if (!result.late && !IsLost(result.result)) {
      attempts += static_cast<uint32_t>(result.result.attempts_size());
    }
  }
  if (EndOf(end) == v1::End::UNDECIDED) {
    return Violate(Check::kOneDecider, absl::StrCat(name, " has no end"));
  }
  CheckProbes(name, test, location, rows);
  if (IsProbing(end)) {
    Violate(Check::kNoStarvation, absl::StrCat(name, " still waits for a probe"));
  }
  if (deciding.size() != (ByResult(end) ? 1 : 0)) {
    return Violate(Check::kOneDecider,
                   absl::StrCat(name, " ended ", v1::End::Value_Name(EndOf(end)), " with ",
                                deciding.size(), " deciding results"));
  }
  if (attempts > test.retry().attempts()) {
    Violate(Check::kAttempts,
            absl::StrCat(name, " had ", attempts, " attempts of ", test.retry().attempts()));
  }
  if (!ByResult(end)) return;
  const v1::ExecutionResult& result = deciding[0]->result;
  const bool lost = EndOf(end) == v1::End::INCONCLUSIVE && IsLost(result);
  if (!lost && end != oracle_->End(test, execution)) {
    Violate(Check::kOracle, absl::StrCat(name, " ended ", end, ", the oracle says ",
                                         oracle_->End(test, execution), "; reason ",
                                         v1::FailureReason::Value_Name(result.reason())));
  }
  if (result.reason() == v1::FailureReason::lost_maybe_ran && test.repeatable()) {
    Violate(Check::kOracle, absl::StrCat(name, " is repeatable and ended lost_maybe_ran"));
  }
}

}  // namespace picket::simulation
