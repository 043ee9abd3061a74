#include "tests/unit/cli/canned_run.h"

#include "common/policy/ends.h"

namespace picket::testing_support {
namespace {

v1::Execution Planned(uint32_t number, const std::string& test, const std::string& id,
                      const std::string& location, v1::End::Value end) {
  v1::Execution e;
  e.set_execution(number);
  e.set_suite("checkout");
  e.set_test(test);
  e.set_test_id(id);
  e.set_location(location);
  e.set_end(end);
  e.set_blocking(true);
  return e;
}

v1::Attempt& Try(v1::Execution& e, v1::Outcome::Value outcome, uint32_t us) {
  v1::Attempt& a = *e.add_attempts();
  a.set_number(static_cast<uint32_t>(e.attempts_size()));
  a.set_agent("eu-1");
  a.set_location(e.location());
  a.set_outcome(outcome);
  a.set_duration_us(us);
  a.mutable_start_time()->set_seconds(1'700'000'000);
  a.mutable_start_time()->set_nanos(250'000'000);
  const auto phase = [&](v1::Phase::Name name, uint32_t value) {
    v1::Phase& p = *a.mutable_measurement()->add_phases();
    p.set_name(name);
    p.set_us(value);
  };
  phase(v1::Phase::dns, us / 10);
  phase(v1::Phase::connect, us / 5);
  phase(v1::Phase::first_byte, us / 2);
  phase(v1::Phase::total, us);
  a.mutable_measurement()->mutable_http()->set_status(200);
  a.mutable_measurement()->mutable_http()->set_bytes_down(5'000'000'000);
  return a;
}

void Assert(v1::Attempt& a, const std::string& subject, const std::string& op,
            const std::string& expected, const std::string& actual, bool passed) {
  v1::Assertion& assertion = *a.add_assertions();
  assertion.set_subject(subject);
  assertion.set_operator_(op);
  assertion.set_expected(expected);
  assertion.set_actual(actual);
  assertion.set_passed(passed);
}

v1::Execution Failed() {
  v1::Execution e = Planned(2, "buy a chair", "buy-a-chair", "eu-west", v1::End::FAILED);
  e.set_row(0);
  e.set_reason(v1::FailureReason::assertion);
  e.set_blame(v1::Blame::target);
  v1::Attempt& a = Try(e, v1::Outcome::FAILED, 12'345);
  a.set_reason(v1::FailureReason::assertion);
  a.set_message("status is 500, not 200");
  Assert(a, "status", "is", "200", "500", false);
  Assert(a, "header content-type", "contains", "json", "application/json", true);
  Assert(a, "json $.items[*].sku", "contains", "\"A-1\"", kHostile, false);
  return e;
}

FakeCoordinator Filled() {
  FakeCoordinator c;
  v1::Execution passed = Planned(0, "home page answers", "home", "eu-west", v1::End::PASSED);
  Try(passed, v1::Outcome::PASSED, 4'200);
  v1::Execution flaky = Planned(1, "home page answers", "home", "us-east", v1::End::PASSED);
  flaky.set_flaky(true);
  flaky.set_blame(v1::Blame::agent);
  v1::Attempt& first = Try(flaky, v1::Outcome::FAILED, 1'000);
  first.set_reason(v1::FailureReason::connect_reset);
  first.set_message("the connection was reset");
  Try(flaky, v1::Outcome::PASSED, 5'000).set_agent("eu-2");
  v1::Execution unclear =
      Planned(3, "buy a chair", "buy-a-chair", "eu-west", v1::End::INCONCLUSIVE);
  unclear.set_row(1);
  unclear.set_reason(v1::FailureReason::secret_missing);
  unclear.set_blame(v1::Blame::agent);
  v1::Attempt& a = Try(unclear, v1::Outcome::INCONCLUSIVE, 10);
  a.set_reason(v1::FailureReason::secret_missing);
  a.set_message("the agent does not hold secret API_TOKEN");
  v1::Execution hostile = Planned(4, kHostile, "hostile", "eu-west", v1::End::FAILED);
  hostile.set_reason(v1::FailureReason::protocol_error);
  hostile.set_blocking(false);
  hostile.set_blame(v1::Blame::location);
  v1::Attempt& h = Try(hostile, v1::Outcome::FAILED, 1'500'000);
  h.set_reason(v1::FailureReason::protocol_error);
  h.set_message(kHostile);
  h.add_warnings("address_unreachable 2001:db8::1");
  v1::Attempt& probe = Try(hostile, v1::Outcome::PASSED, 2'000);
  probe.set_agent(kHostile);
  probe.set_location("us-east");
  probe.set_probe(true);
  c.executions = {passed, flaky, Failed(), unclear, hostile};
  c.executions.push_back(Planned(5, "later", "later", "us-east", v1::End::SKIPPED));
  c.executions.back().set_skip_reason("frozen until the fair is over | #7 <b>");
  c.executions.push_back(Planned(6, "late", "late", "us-east", v1::End::CANCELLED));
  c.executions.push_back(Planned(7, "late", "late-2", "us-east", v1::End::EXPIRED));
  c.executions.push_back(Planned(8, "late", "late-3", "us-east", v1::End::UNASSIGNED));
  v1::Evidence& evidence = c.evidence[{2, 1}];
  evidence.set_curl("curl -sS --resolve shop:443:127.0.0.1 'https://shop/cart'");
  evidence.set_request("GET /cart HTTP/1.1\r\nHost: shop\r\n");
  evidence.set_response("HTTP/1.1 500 Oops\r\nX: </pre><script>\r\n");
  evidence.set_body_excerpt("<h1>oops</h1>");
  return c;
}

}  // namespace

FakeCoordinator CannedRun() {
  FakeCoordinator c = Filled();
  v1::Run& run = c.run;
  run.set_run_id("abcdefghijklmnop");
  run.set_suite("checkout");
  run.set_state(v1::Run::SEALED);
  run.set_verdict(v1::Verdict::FAILED);
  run.set_end_cause(v1::EndCause::DEADLINE);
  run.set_explanation("1 blocking check failed");
  run.mutable_create_time()->set_seconds(1'700'000'000);
  run.mutable_seal_time()->set_seconds(1'700'000'012);
  run.mutable_seal_time()->set_nanos(500'000'000);
  (*run.mutable_labels())["ci.commit"] = "0123abc";
  for (const char* name : {"eu-west", "us-east"}) {
    v1::LocationProgress& l = c.locations.emplace_back();
    l.set_location(name);
    l.set_agents(1);
    for (const v1::Execution& e : c.executions) {
      if (e.location() == name) AddToLedger(MakeEnd(e.end(), e.flaky()), *l.mutable_ledger());
    }
  }
  for (const v1::Execution& e : c.executions) {
    AddToLedger(MakeEnd(e.end(), e.flaky()), *run.mutable_ledger());
  }
  return c;
}

}  // namespace picket::testing_support
