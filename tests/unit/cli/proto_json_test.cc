#include "common/report/proto_json.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "common/expr/json.h"
#include "common/report/report_message.h"
#include "picket/v1/run_service.pb.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/cli/canned_run.h"

namespace picket {
namespace {

using google::protobuf::util::JsonPrintOptions;
using google::protobuf::util::MessageToJsonString;

// protobuf's own printer is the reference.
void ExpectSameAsReference(const google::protobuf::Message& message) {
  JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string reference;
  ASSERT_TRUE(MessageToJsonString(message, &reference, options).ok());
  ASSERT_OK_AND_ASSIGN(const Json expected, ParseJson(reference));
  ASSERT_OK_AND_ASSIGN(const Json actual, ParseJson(ProtoJson(message)));
  EXPECT_TRUE(JsonEquals(actual, expected)) << ToText(actual) << "\n" << ToText(expected);
}

TEST(ProtoJsonTest, PrintsWhatProtobufPrints) {
  const auto canned = testing_support::CannedRun();
  ExpectSameAsReference(canned.run);
  ExpectSameAsReference(ReportWithoutExecutions(canned.run));
  for (v1::Execution e : canned.executions) {
    // The reference refuses what is no UTF-8.
    for (v1::Attempt& a : *e.mutable_attempts()) {
      a.set_message("x\n\"<");
      a.set_agent("椅子-1");
      for (v1::Assertion& assertion : *a.mutable_assertions()) assertion.set_actual("y\x01");
    }
    e.set_test("椅子");
    v1::ReportExecution report;
    FillReportExecution(e, report);
    ExpectSameAsReference(e);
    ExpectSameAsReference(report);
  }
  for (const auto& [key, evidence] : canned.evidence) ExpectSameAsReference(evidence);
}

TEST(ProtoJsonTest, PrintsDurationsNumbersBytesAndUnknownEnumsAsProtobufDoes) {
  v1::RunSpec spec;
  spec.mutable_deadline()->set_seconds(90);
  spec.mutable_deadline()->set_nanos(500'000'000);
  v1::Blob& blob = *spec.add_blobs();
  blob.set_sha256("\x01\xff");
  blob.set_data("x");
  v1::Test& test = *spec.add_suites()->add_tests();
  test.mutable_retry()->set_backoff(1.5);
  test.add_steps()->mutable_http()->set_body_limit_bytes(1ull << 60);
  ExpectSameAsReference(spec);
  v1::Run run;
  run.set_state(static_cast<v1::Run::State>(77));
  run.mutable_create_time()->set_seconds(1);
  run.mutable_create_time()->set_nanos(1'000);
  ExpectSameAsReference(run);
}

TEST(ProtoJsonTest, IsReadBackAsTheSameMessage) {
  const v1::Run run = testing_support::CannedRun().run;
  v1::Run back;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(ProtoJson(run), &back).ok());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(run, back));
}

}  // namespace
}  // namespace picket
