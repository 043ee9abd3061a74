// File: judged_run.h
//
// A sealed run of which every test stands differently, with what judging it takes.
//
// Thread rule: pure.

#ifndef TESTS_UNIT_CLI_JUDGED_RUN_H_
#define TESTS_UNIT_CLI_JUDGED_RUN_H_

#include <string>

#include "common/policy/ends.h"
#include "tests/unit/cli/fake_cli.h"

namespace picket::testing_support {

// FAILED, of the suite checkout, at eu and us:
//   home    passed at eu, failed at us: FAILED
//   buy     two rows: PASSED, and INCONCLUSIVE (could not tell at eu)
//   slow    not blocking, at eu only: failed
//   wobbly  passed, flaky at eu: PASSED
//   later   skipped
inline FakeCoordinator JudgedRun() {
  FakeCoordinator c;
  c.run.set_run_id("abcdefghijklmnop");
  c.run.set_suite("checkout");
  c.run.set_state(v1::Run::SEALED);
  c.run.set_verdict(v1::Verdict::FAILED);
  c.run.set_end_cause(v1::EndCause::COMPLETE);
  c.run.set_explanation("1 of 4 blocking checks failed");
  c.run.mutable_seal_time()->set_seconds(1'700'000'012);
  const auto add = [&](const std::string& id, const std::string& location, v1::End::Value end,
                       int row = -1) -> v1::Execution& {
    v1::Execution& e = c.executions.emplace_back();
    e.set_execution(static_cast<uint32_t>(c.executions.size() - 1));
    e.set_suite("checkout");
    e.set_test(id + " <it>");
    e.set_test_id(id);
    e.set_location(location);
    if (row >= 0) e.set_row(static_cast<uint32_t>(row));
    e.set_end(end);
    e.set_blocking(true);
    e.mutable_policy()->set_locations(v1::Policy::ALL);
    e.mutable_policy()->set_flaky(v1::Policy::FLAKY_PASS);
    e.mutable_policy()->set_inconclusive(v1::Policy::INCONCLUSIVE_INCONCLUSIVE);
    return e;
  };
  add("home", "eu", v1::End::PASSED);
  v1::Execution& failed = add("home", "us", v1::End::FAILED);
  failed.set_reason(v1::FailureReason::connect_refused);
  failed.set_blame(v1::Blame::location);
  add("buy", "eu", v1::End::PASSED, 0);
  add("buy", "eu", v1::End::INCONCLUSIVE, 1).set_reason(v1::FailureReason::secret_missing);
  add("buy", "us", v1::End::PASSED, 0);
  add("buy", "us", v1::End::PASSED, 1);
  add("slow", "eu", v1::End::FAILED).set_blocking(false);
  add("wobbly", "eu", v1::End::PASSED).set_flaky(true);
  add("wobbly", "us", v1::End::PASSED);
  add("later", "eu", v1::End::SKIPPED);
  for (const v1::Execution& e : c.executions) {
    AddToLedger(MakeEnd(e.end(), e.flaky()), *c.run.mutable_ledger());
  }
  return c;
}

// The same, with everything that blocks passed.
inline FakeCoordinator PassedRun() {
  FakeCoordinator c = JudgedRun();
  c.executions[1].set_end(v1::End::PASSED);
  c.executions[3].set_end(v1::End::PASSED);
  c.run.set_verdict(v1::Verdict::PASSED);
  c.run.set_explanation("all 4 blocking checks passed");
  c.run.clear_ledger();
  for (const v1::Execution& e : c.executions) {
    AddToLedger(MakeEnd(e.end(), e.flaky()), *c.run.mutable_ledger());
  }
  return c;
}

}  // namespace picket::testing_support

#endif  // TESTS_UNIT_CLI_JUDGED_RUN_H_
