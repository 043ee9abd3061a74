#include "coordinator/gateway/openapi.h"

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/telemetry/metrics.h"
#include "coordinator/gateway/gateway.h"
#include "coordinator/gateway/json.h"
#include "tests/support/fake_coordinator.h"
#include "tests/support/http_get.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using google::protobuf::ListValue;
using google::protobuf::Struct;
using google::protobuf::Value;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Struct Document() {
  Struct document;
  EXPECT_OK(FromJson(OpenApiDocument(), document));
  return document;
}

void ForEachReference(const Value& value, const std::function<void(const std::string&)>& use) {
  for (const auto& [key, member] : value.struct_value().fields()) {
    if (key == "$ref") use(member.string_value());
    ForEachReference(member, use);
  }
  for (const Value& element : value.list_value().values()) ForEachReference(element, use);
}

TEST(OpenApiTest, EveryReferenceLeadsSomewhere) {
  const Struct document = Document();
  const Struct& components = document.fields().at("components").struct_value();
  int count = 0;
  Value whole;
  *whole.mutable_struct_value() = document;
  ForEachReference(whole, [&](const std::string& reference) {
    ++count;
    absl::string_view rest = reference;
    const bool schema = absl::ConsumePrefix(&rest, "#/components/schemas/");
    ASSERT_TRUE(schema || absl::ConsumePrefix(&rest, "#/components/responses/")) << reference;
    const auto& group = components.fields().at(schema ? "schemas" : "responses").struct_value();
    EXPECT_TRUE(group.fields().contains(std::string(rest))) << reference;
  });
  EXPECT_GT(count, 50);
}

TEST(OpenApiTest, OperationsHaveNamesOfTheirOwnAndTheirPathsParameters) {
  const Struct document = Document();
  std::set<std::string> ids;
  for (const auto& [path, methods] : document.fields().at("paths").struct_value().fields()) {
    for (const auto& [method, operation] : methods.struct_value().fields()) {
      const Struct& fields = operation.struct_value();
      EXPECT_TRUE(ids.insert(fields.fields().at("operationId").string_value()).second) << path;
      EXPECT_TRUE(fields.fields().contains("responses")) << path;
      if (!absl::StrContains(path, "{")) continue;
      for (const Value& parameter : fields.fields().at("parameters").list_value().values()) {
        const auto& p = parameter.struct_value().fields();
        if (p.at("in").string_value() != "path") continue;
        EXPECT_THAT(path, HasSubstr(absl::StrCat("{", p.at("name").string_value(), "}")));
      }
    }
  }
  EXPECT_GE(ids.size(), 23u);
}

TEST(OpenApiTest, EveryRouteIsDescribedAndNothingElse) {
  std::set<std::string> described, served = {"GET /metrics", "GET /healthz", "GET /readyz"};
  const Struct document = Document();
  for (const auto& [path, methods] : document.fields().at("paths").struct_value().fields()) {
    for (const auto& [method, operation] : methods.struct_value().fields()) {
      described.insert(absl::StrCat(absl::AsciiStrToUpper(method), " ", path));
    }
  }
  for (const std::string& route : Gateway::Routes()) {
    // Each report is described apart, since each is of another type.
    if (absl::EndsWith(route, "/{format}")) {
      for (const char* format : {"junit", "json", "ctrf", "tap", "markdown", "html"}) {
        served.insert(absl::StrReplaceAll(route, {{"{format}", format}}));
      }
      continue;
    }
    served.insert(absl::StrReplaceAll(route, {{"{agent...}", "{agent}"}}));
  }
  EXPECT_EQ(described, served);
}

TEST(OpenApiTest, EveryOperationIsServed) {
  FakeCoordinator coordinator;
  for (const char* id : {"r1"}) {
    coordinator.runs[id].set_run_id(id);
    coordinator.runs[id].set_state(v1::Run::SEALED);
    coordinator.runs[id].set_verdict(v1::Verdict::PASSED);
    *coordinator.states[id].mutable_run() = coordinator.runs[id];
  }
  Metrics metrics("test", absl::UnixEpoch());
  ASSERT_OK_AND_ASSIGN(auto gateway, Gateway::Start({.metrics = &metrics}, &coordinator));
  const Struct document = Document();
  for (const auto& [path, methods] : document.fields().at("paths").struct_value().fields()) {
    for (const auto& [method, operation] : methods.struct_value().fields()) {
      const std::string target = absl::StrReplaceAll(
          path,
          {{"{run_id}", "r1"}, {"{execution}", "1"}, {"{attempt}", "1"}, {"{agent}", "web-1"}});
      const std::string body =
          absl::EndsWith(path, "/flagger") ? R"({"metadata":{"run_id":"r1"}})" : "{}";
      const std::string answer =
          HttpAsk(gateway->address(), method == "get" ? "GET" : "POST", target,
                  method == "get" ? "" : body);
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 2")) << method << " " << path;
    }
  }
  EXPECT_THAT(HttpAsk(gateway->address(), "GET", "/openapi.json", ""),
              HasSubstr("\"openapi\":\"3.1.0\""));
}

}  // namespace
}  // namespace picket
