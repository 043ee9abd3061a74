// File: limits.h
//
// Every bound that two rooms must agree on, with its unit and default. A bound of
// one room alone lives in that room's limits.h.

#ifndef COMMON_POLICY_LIMITS_H_
#define COMMON_POLICY_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace picket {

struct Limits {
  // Suite files.
  size_t suite_file_bytes = 16u << 20;     // a larger file is refused unread
  int yaml_depth = 64;                     // nesting of nodes
  size_t yaml_nodes = 2'000'000;           // nodes of a file as written
  size_t yaml_alias_nodes = 100'000;       // nodes after aliases are expanded
  size_t data_file_bytes = 16u << 20;      // a CSV, JSON or body file named in a suite
  size_t tests_per_run = 1'000'000;
  size_t steps_per_test = 100;
  size_t expectations_per_step = 200;
  size_t rows_per_test = 1'000'000;
  size_t locations_per_test = 1'000;
  size_t executions_per_run = 10'000'000;
  size_t diagnostics = 100;                // errors printed for one file

  // Text and values.
  size_t name_bytes = 500;                 // of a test, step or suite
  size_t template_bytes = 1u << 20;        // one template as written
  size_t rendered_bytes = 4u << 20;        // one template as rendered
  int json_depth = 64;
  size_t json_nodes = 2'000'000;
  size_t jsonpath_bytes = 4096;
  size_t jsonpath_nodes = 1'000'000;       // nodes visited by one query
  size_t regex_bytes = 4096;               // pattern as written
  int64_t regex_memory_bytes = 1 << 20;    // RE2 program and cache
  int schema_depth = 64;
  size_t schema_steps = 5'000'000;         // keyword evaluations of one validation

  // One attempt.
  absl::Duration timeout_default = absl::Seconds(30);
  absl::Duration timeout_longest = absl::Hours(1);
  absl::Duration always_grace = absl::Seconds(10);  // for `always` steps after a cancel
  uint32_t attempts_most = 100;
  absl::Duration retry_delay_longest = absl::Hours(1);
  double retry_backoff_most = 10;
  absl::Duration elsewhere_patience = absl::Seconds(10);  // for who is to retry or probe elsewhere
  int max_redirects_default = 10;
  int max_redirects_most = 50;
  size_t body_limit_default = 1u << 20;    // bytes after decoding
  size_t body_limit_most = 256u << 20;

  // Regression gates (regression.h).
  uint32_t regression_over_least = 5;      // runs that a gate compares with, from ...
  uint32_t regression_over_most = 200;     // ... to; also measurements kept per test x location
  uint32_t regression_samples = 7;         // measurements of one execution that decide
  uint32_t regression_tries = 14;          // measurements made to get as many good ones
  absl::Duration regression_gap = absl::Milliseconds(200);  // between two of them
  double regression_chance = 0.01;         // of the rank test
  double regression_as_slow = 0.1;         // share of the runs before that may be as slow
  size_t regression_gates_per_run = 20'000;  // test x location with a gate

  // Runs.
  absl::Duration deadline_default = absl::Minutes(30);
  absl::Duration deadline_longest = absl::Hours(24);
  absl::Duration agent_grace = absl::Seconds(60);
  int priority_most = 100;                 // and -100 at least
  size_t labels_per_run = 64;
  size_t list_page_size = 1'000;

  // The wire.
  size_t create_run_bytes = 64u << 20;
  size_t result_batch_bytes = 1u << 20;
  size_t result_bytes = 256u << 10;        // one result with its evidence
  size_t passing_result_bytes = 512;
  size_t evidence_bytes = 64u << 10;       // one piece
  size_t evidence_run_bytes = 256u << 20;  // all of a run
  size_t evidence_run_full = 1'000;        // full ones of a run; the rest keep the reason only
  size_t late_results_run = 1'000;         // kept as evidence
  size_t watch_failures = 100;             // told by WatchRun
  size_t judgement_culprits = 20;          // checks that a judgement names
  uint32_t window_most = 20'000;           // executions an agent may hold

  // Leases.
  absl::Duration heartbeat_interval = absl::Seconds(2);
  absl::Duration lease_time = absl::Seconds(10);
  absl::Duration progress_interval = absl::Milliseconds(200);
  absl::Duration late_decision_grace = absl::Seconds(60);  // SEMANTICS: lost_maybe_ran
  uint32_t leases_before_isolation = 2;    // from the next one an execution runs alone
  uint32_t losses_most = 4;                // counted losses, then agent_lost
};

// The limits in force. Constant: a limit is changed in the code, with its test.
inline const Limits& DefaultLimits() {
  static const Limits limits;
  return limits;
}

}  // namespace picket

#endif  // COMMON_POLICY_LIMITS_H_
