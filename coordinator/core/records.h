// File: records.h
//
// What is remembered, row by row: the vocabulary between the core, which decides,
// and the store, which compares and keeps. Plain values.

#ifndef COORDINATOR_CORE_RECORDS_H_
#define COORDINATOR_CORE_RECORDS_H_

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "common/policy/ends.h"
#include "picket/v1/agent_service.pb.h"
#include "picket/v1/result.pb.h"
#include "picket/v1/run.pb.h"
#include "picket/v1/run_service.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// A run as stored. `run` is what everyone sees (its ledger is final once sealed).
struct RunRow {
  v1::Run run;
  std::string request_id;
  std::string spec_digest;  // SHA-256 of the serialised spec, 32 bytes
  bool fail_fast = false;
  uint32_t max_failures = 0;
  int32_t priority = 0;
  uint32_t expect_agents = 0;
  uint32_t executions = 0;
  uint32_t shards = 0;
  // Executions that the run waits for (IsOpen): without an end, or with a probe that is
  // still awaited. 0 exactly when sealed.
  uint32_t undecided = 0;
  // Failed executions so far, and failed ones of blocking tests, for max_failures and fail_fast.
  uint32_t failed = 0;
  uint32_t failed_blocking = 0;
};

// One test of a run, in plan order.
struct TestRow {
  uint32_t index = 0;
  uint32_t first_execution = 0;
  std::string digest;  // SHA-256 of the serialised `test`
  v1::Test test;       // without its rows
  v1::Table rows;      // of for_each; empty otherwise
};

// What is known of an open execution besides its byte. Kept only when some field is
// not its default; one that waits for a probe always has it.
struct Mark {
  uint32_t losses = 0;         // counted losses
  uint32_t attempts = 0;       // number of the last stored attempt or probe; each comes but once
  bool failed_before = false;  // one of them failed
  bool started = false;        // a non-repeatable one may have sent its first byte
  std::string avoid_instance;  // of the last attempt, for retry.where
  absl::Time not_before = absl::InfinitePast();  // retry delay, by the store's clock
  absl::Time give_up = absl::InfiniteFuture();   // end as lost_maybe_ran, or without probe, then
  std::vector<std::string> probed;  // locations that were asked for a probe

  bool IsDefault() const;
  bool operator==(const Mark&) const = default;
};

// A batch of executions of one run and location. Decided under `rev`.
struct ShardRow {
  std::string run_id;
  uint32_t shard = 0;
  std::string location;
  int32_t priority = 0;
  std::vector<uint32_t> executions;  // ascending start order (longest first)
  std::vector<EndByte> ends;         // one per execution
  std::map<uint32_t, Mark> marks;    // by position in `executions`
  std::vector<bool> leased;          // ever, by position; may be shorter: the rest was not
  uint64_t rev = 0;                  // rises with every write
  uint32_t epoch = 0;                // of the last grant
  uint32_t expected_us = 0;          // of one execution, on average
};

// A grant. Live until `ended`. One to an agent of another location than the shard's is
// for probes.
struct LeaseRow {
  std::string run_id;
  uint32_t shard = 0;
  uint32_t epoch = 0;
  std::string instance;              // of the agent
  std::string spool;                 // its results may come through this spool later
  std::string agent;                 // name, for people
  std::string location;              // the agent's
  std::vector<uint32_t> positions;   // into ShardRow::executions, in start order
  bool isolated = false;
  bool ended = false;
};

// One result to append; never updated.
struct ResultRow {
  std::string run_id;
  uint32_t execution = 0;
  uint32_t shard = 0;
  uint32_t epoch = 0;
  // Decided its execution; else it is a retried attempt, a probe, or late evidence.
  // All attempts of a row are probes, or none is.
  bool deciding = false;
  bool late = false;
  // Evidence has been taken out of the attempts into `evidence`.
  v1::ExecutionResult result;
  struct EvidenceRow {
    uint32_t attempt = 0;
    std::string digest;  // SHA-256
    std::string bytes;   // serialised v1::Evidence
  };
  std::vector<EvidenceRow> evidence;
};

// An agent's session. Renewed by heartbeats; its leases live as long as it.
struct AgentRow {
  v1::Agent agent;          // instance, name, location, state, ...
  std::string spool;
  std::string coordinator;  // that holds its stream; empty = none
  absl::Time renewed;       // by the store's clock
};

// One past duration, for the planner and for regression gates.
struct HistoryRow {
  std::string project, suite, test_id, location, baseline;
  std::string run_id;
  absl::Time time;
  uint32_t total_us = 0;
  std::string measurement;  // serialised v1::PastMeasurement
  // Its gate was the only assertion and still learns: it counts in a run that is
  // INCONCLUSIVE for nothing else, too (KeepsHistory).
  bool learning = false;
};

// What a target is still to be told: that a run was sealed. Written with the seal.
struct OutboxRow {
  int64_t id = 0;
  std::string target;  // name of a webhook
  v1::Run run;         // as it was sealed
  uint32_t tries = 0;  // times that it was claimed
};

// ---- Proposals: each is applied whole or refused, in the order of their batch. ----

// Inserts a run with its tests, shards and blobs. Refused when (project, request_id)
// exists: Refusal::run is that run.
struct AdmitRun {
  RunRow run;
  std::vector<TestRow> tests;
  std::vector<ShardRow> shards;
  std::vector<v1::Blob> blobs;
};

// Writes the shard row (ends, marks, epoch as given, rev + 1) iff its stored rev is
// `shard.rev` and the run is not sealed; with it, in the same transaction:
// new leases, ended leases, results, history. The run row's counters follow the ends
// that changed from undecided. If the last byte of the run is thereby decided, the
// run is judged and sealed in the same transaction, and Outcome::sealed says so.
struct WriteShard {
  ShardRow shard;  // rev = the one that was read
  std::vector<LeaseRow> grant;
  std::vector<uint32_t> end_epochs;
  std::vector<ResultRow> results;
  std::vector<HistoryRow> history;
  // The first lease of the run: QUEUED becomes RUNNING.
  bool starts_run = false;
};

// Evidence that changes nothing: late results (bounded by Limits::late_results_run) and probes.
struct AppendResults {
  std::vector<ResultRow> results;
};

// Ends a run early: writes an end into every undecided byte, bumps epochs, ends
// leases, judges and seals. Refused if the run is sealed already.
struct EndRun {
  std::string run_id;
  v1::EndCause::Value cause = v1::EndCause::END_CAUSE_UNSPECIFIED;
};

// Inserts or renews an agent's row, iff no other live instance holds (location,
// name) - or `take_over`. Refused otherwise; Refusal::agent is the other one. An instance
// whose stream has closed holds its name no more, nor does one that drains; a row put as
// anything but LIVE contests no name. Committed: Outcome::agent are those that lost the
// name, as they now are (DRAINING, or GONE if their stream had closed).
struct PutAgent {
  AgentRow agent;
  bool take_over = false;
};

// Marks that the stream closed (`coordinator` empty) iff this coordinator still held it.
struct CloseAgent {
  std::string instance;
  std::string coordinator;
  bool goodbye = false;  // gone for good: GONE
};

// GONE iff it was not renewed since `renewed`.
struct ExpireAgent {
  std::string instance;
  absl::Time renewed;
};

// Renewals of sessions of this coordinator: one cheap update each, never refused.
struct RenewAgents {
  std::vector<std::string> instances;
};

using Proposal = std::variant<AdmitRun, WriteShard, AppendResults, EndRun, PutAgent, CloseAgent,
                              ExpireAgent, RenewAgents>;

// The store's answer to one proposal.
struct Outcome {
  bool committed = false;
  // When refused: the row as it is, of the kind the proposal names.
  std::vector<ShardRow> shard;
  std::vector<RunRow> run;
  std::vector<AgentRow> agent;
  // The run that this proposal sealed, as it now is. At most one.
  std::vector<RunRow> sealed;
};

}  // namespace picket

#endif  // COORDINATOR_CORE_RECORDS_H_
