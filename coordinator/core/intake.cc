// How results come in: checked, and put before their shard.

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/policy/sha256.h"
#include "coordinator/core/core.h"

namespace picket {
namespace {

// Results of one session that may wait for the store.
constexpr uint64_t kWaitingMost = 200'000;

// Why a result can never be stored; empty = it can.
std::string Reject(const v1::ExecutionResult& result) {
  const Limits& limits = DefaultLimits();
  if (result.attempts().empty()) return "it has no attempt";
  if (result.attempts_size() > static_cast<int>(limits.attempts_most)) {
    return absl::StrCat("it has more than ", limits.attempts_most, " attempts");
  }
  uint32_t number = 0;
  if (result.attempts(0).probe() && result.attempts_size() > 1) return "a probe is one attempt";
  for (const v1::Attempt& attempt : result.attempts()) {
    if (attempt.probe() && (attempt.number() == 0 || attempt.number() > limits.attempts_most)) {
      return absl::StrCat("the probe has number ", attempt.number());
    }
    if (!attempt.probe()) {
      if (attempt.number() <= number || attempt.number() > limits.attempts_most) {
        return absl::StrCat("the attempt after number ", number, " has number ",
                            attempt.number());
      }
      number = attempt.number();
    }
    if (attempt.outcome() != v1::Outcome::PASSED && attempt.outcome() != v1::Outcome::FAILED &&
        attempt.outcome() != v1::Outcome::INCONCLUSIVE) {
      return "an attempt has no outcome";
    }
    if (!v1::FailureReason::Value_IsValid(attempt.reason())) {
      return absl::StrCat("an attempt has the unknown reason ", attempt.reason());
    }
  }
  const size_t bytes = result.ByteSizeLong();
  if (bytes > limits.result_bytes) {
    return absl::StrCat("it has ", bytes, " bytes; at most ", limits.result_bytes, " are kept");
  }
  return "";
}

// Fills in what the coordinator knows of the agent, and takes the evidence apart.
void Complete(const LeaseRow& lease, ResultRow& row) {
  for (v1::Attempt& attempt : *row.result.mutable_attempts()) {
    attempt.set_agent(lease.agent);
    attempt.set_location(lease.location);
    if (!attempt.has_evidence()) continue;
    ResultRow::EvidenceRow evidence;
    evidence.attempt = attempt.number();
    evidence.bytes = attempt.evidence().SerializeAsString();
    attempt.clear_evidence();
    if (evidence.bytes.size() > DefaultLimits().evidence_bytes) continue;
    evidence.digest = Sha256Digest(evidence.bytes);
    row.evidence.push_back(std::move(evidence));
  }
}

// Whether results of `instance`, sent by a session with `sender` and `spool`, are the lease's.
bool Entitled(const LeaseRow& lease, const std::string& instance, const std::string& sender,
              const std::string& spool) {
  return lease.instance == instance &&
         (sender == instance || (!spool.empty() && lease.spool == spool));
}

}  // namespace

void Core::Settle(const AckRef& ack) {
  Session* session = FindSession(ack.peer);
  if (session == nullptr) return;
  session->acks.Settle(ack.batch);
  ack_now_.insert(ack.peer);
}

void Core::DropResult(const AckRef& ack, const std::string& run_id, uint32_t execution,
                      absl::string_view reason, Effects& out) {
  ++out.tally.results_dropped;
  Session* session = FindSession(ack.peer);
  if (session == nullptr) return;
  v1::ResultAck::Dropped dropped;
  dropped.set_run_id(run_id);
  dropped.set_execution(execution);
  dropped.set_reason(std::string(reason));
  session->acks.Drop(ack.batch, std::move(dropped));
  ack_now_.insert(ack.peer);
}

void Core::SendAcks(Effects& out) {
  for (PeerId peer : ack_now_) {
    Session* session = FindSession(peer);
    if (session == nullptr) continue;
    std::optional<v1::ResultAck> ack = session->acks.Take();
    if (!ack.has_value()) continue;
    Send send{.peer = peer, .message = {}};
    *send.message.mutable_ack() = *std::move(ack);
    out.sends.push_back(std::move(send));
  }
  ack_now_.clear();
}

void Core::OnResults(Session& session, v1::ResultBatch& batch, Effects& out) {
  uint64_t count = 0;
  for (const v1::LeaseResults& results : batch.results()) {
    count += static_cast<uint64_t>(results.results_size());
  }
  if (session.acks.waiting() > kWaitingMost) {
    ClosePeerWith(session.peer,
                  absl::ResourceExhaustedError(
                      "too many results wait to be stored; send them again on a new stream"),
                  out);
    return;
  }
  const AckRef ack{session.peer, session.acks.Open(batch.sequence(), count)};
  ack_now_.insert(session.peer);
  for (v1::LeaseResults& results : *batch.mutable_results()) {
    const v1::LeaseId& id = results.lease();
    RunState* run = Find(id.run_id());
    if (run != nullptr && id.shard() >= run->shards()) run = nullptr;
    const Lease* lease =
        run == nullptr ? nullptr : run->shard(id.shard()).FindLease(id.epoch());
    if (lease != nullptr &&
        !Entitled(lease->row, results.instance(), session.instance(), session.hello.spool())) {
      for (const v1::ExecutionResult& result : results.results()) {
        DropResult(ack, id.run_id(), result.execution(), "its lease was another agent's", out);
      }
      continue;
    }
    std::vector<Waiting>* waiting = nullptr;
    if (lease == nullptr) {
      const LeaseKey key{id.run_id(), id.shard(), id.epoch()};
      const auto [it, fresh] = waiting_.try_emplace(key);
      if (fresh) out.lookups.push_back(id);
      waiting = &it->second;
    }
    for (v1::ExecutionResult& result : *results.mutable_results()) {
      Incoming incoming;
      incoming.ack = ack;
      incoming.instance = results.instance();
      incoming.row.run_id = id.run_id();
      incoming.row.execution = result.execution();
      incoming.row.shard = id.shard();
      incoming.row.epoch = id.epoch();
      if (!result.attempts().empty()) {
        const double us = result.attempts(0).duration_us();
        session.typical_us =
            session.typical_us == 0 ? us + 1 : session.typical_us * 0.95 + (us + 1) * 0.05;
      }
      incoming.row.result = std::move(result);
      if (waiting != nullptr) {
        waiting->push_back({std::move(incoming), session.instance(), session.hello.spool()});
      } else {
        TakeResult(*run, lease->row, std::move(incoming), out);
      }
    }
  }
}

void Core::TakeResult(RunState& run, const LeaseRow& lease, Incoming incoming, Effects& out) {
  Shard& shard = run.shard(lease.shard);
  const uint32_t execution = incoming.row.execution;
  const uint32_t position =
      execution < run.row().executions ? run.PositionOf(execution) : UINT32_MAX;
  if (position >= shard.row.executions.size() || shard.row.executions[position] != execution) {
    DropResult(incoming.ack, run.id(), execution, "there is no such execution in its lease", out);
    return;
  }
  // What it is follows from the lease, whatever the agent says.
  const bool probe = lease.location != shard.row.location;
  for (v1::Attempt& attempt : *incoming.row.result.mutable_attempts()) attempt.set_probe(probe);
  const std::string why = Reject(incoming.row.result);
  if (!why.empty()) {
    incoming.rejected = true;
    incoming.row.result.Clear();
    incoming.row.result.set_execution(execution);
    v1::Attempt& attempt = *incoming.row.result.add_attempts();
    attempt.set_probe(probe);
    attempt.set_location(lease.location);
    attempt.set_message(absl::StrCat("the result was refused: ", why));
  } else {
    Complete(lease, incoming.row);
  }
  shard.Inputs().results.push_back(std::move(incoming));
  run.Touch(lease.shard);
}

void Core::On(event::LeaseFound& e, Effects& out) {
  const auto it = waiting_.find(LeaseKey{e.id.run_id(), e.id.shard(), e.id.epoch()});
  if (it == waiting_.end()) return;
  std::vector<Waiting> waiting = std::move(it->second);
  waiting_.erase(it);
  RunState* run = Find(e.id.run_id());
  if (run != nullptr && e.id.shard() >= run->shards()) run = nullptr;
  for (Waiting& entry : waiting) {
    Incoming& incoming = entry.result;
    if (!e.lease.has_value()) {
      DropResult(incoming.ack, incoming.row.run_id, incoming.row.execution,
                 "its run or lease is unknown here, or was deleted", out);
    } else if (!Entitled(*e.lease, incoming.instance, entry.sender_instance,
                         entry.sender_spool)) {
      DropResult(incoming.ack, incoming.row.run_id, incoming.row.execution,
                 "its lease was another agent's", out);
    } else if (run != nullptr) {
      TakeResult(*run, *e.lease, std::move(incoming), out);
    } else if (const std::string why = Reject(incoming.row.result); !why.empty()) {
      DropResult(incoming.ack, incoming.row.run_id, incoming.row.execution, why, out);
    } else {
      Complete(*e.lease, incoming.row);
      late_.push_back(std::move(incoming));
    }
  }
}

}  // namespace picket
