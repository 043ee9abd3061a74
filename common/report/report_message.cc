#include "common/report/report_message.h"

namespace picket {
namespace {

void FillTimings(const v1::Measurement& measurement, v1::Timings& out) {
  for (const v1::Phase& phase : measurement.phases()) {
    switch (phase.name()) {
      case v1::Phase::dns:
        out.set_dns_us(phase.us());
        break;
      case v1::Phase::connect:
        out.set_connect_us(phase.us());
        break;
      case v1::Phase::tls:
        out.set_tls_us(phase.us());
        break;
      case v1::Phase::send:
        out.set_send_us(phase.us());
        break;
      case v1::Phase::first_byte:
        out.set_first_byte_us(phase.us());
        break;
      case v1::Phase::transfer:
        out.set_transfer_us(phase.us());
        break;
      case v1::Phase::total:
        out.set_total_us(phase.us());
        break;
      default:
        break;
    }
  }
}

void FillAttempt(const v1::Attempt& attempt, v1::ReportAttempt& out) {
  out.set_agent(attempt.agent());
  out.set_outcome(attempt.outcome());
  out.set_reason(attempt.reason());
  FillTimings(attempt.measurement(), *out.mutable_timings());
  *out.mutable_assertions() = attempt.assertions();
  out.set_message(attempt.message());
  out.set_number(attempt.number());
  if (attempt.has_start_time()) *out.mutable_start_time() = attempt.start_time();
  if (attempt.has_quality()) *out.mutable_quality() = attempt.quality();
  if (attempt.measurement().has_http()) *out.mutable_http() = attempt.measurement().http();
  *out.mutable_warnings() = attempt.warnings();
  if (attempt.has_evidence()) *out.mutable_evidence() = attempt.evidence();
  *out.mutable_steps() = attempt.steps();
  out.set_probe(attempt.probe());
  out.set_location(attempt.location());
}

}  // namespace

v1::Report ReportWithoutExecutions(const v1::Run& run) {
  v1::Report report;
  report.set_run_id(run.run_id());
  report.set_suite(run.suite());
  report.set_verdict(run.verdict());
  *report.mutable_ledger() = run.ledger();
  report.set_local(run.local());
  report.set_end_cause(run.end_cause());
  if (run.has_create_time()) *report.mutable_create_time() = run.create_time();
  if (run.has_seal_time()) *report.mutable_seal_time() = run.seal_time();
  *report.mutable_labels() = run.labels();
  report.set_explanation(run.explanation());
  return report;
}

void FillReportExecution(const v1::Execution& execution, v1::ReportExecution& out) {
  out.set_test(execution.test());
  out.set_location(execution.location());
  if (execution.has_row()) out.set_row(execution.row());
  out.set_outcome(execution.end());
  out.set_flaky(execution.flaky());
  out.set_reason(execution.reason());
  for (const v1::Attempt& attempt : execution.attempts()) FillAttempt(attempt, *out.add_attempts());
  out.set_test_id(execution.test_id());
  out.set_suite(execution.suite());
  out.set_execution(execution.execution());
  out.set_blocking(execution.blocking());
  out.set_blame(execution.blame());
  out.set_learning(execution.learning());
  if (!execution.skip_reason().empty()) out.set_skip_reason(execution.skip_reason());
  out.set_late(execution.late_attempts_size() > 0);
}

}  // namespace picket
