// File: test_builder.h
//
// Tests in a few words: v1::Test from text format, with what the suite parser would fold in.

#ifndef TESTS_UNIT_ENGINE_TEST_BUILDER_H_
#define TESTS_UNIT_ENGINE_TEST_BUILDER_H_

#include <google/protobuf/text_format.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/engine/attempt.h"
#include "agent/engine/compiled_test.h"
#include "agent/engine/engine.h"
#include "common/base/check.h"
#include "tests/unit/engine/fake_loop.h"

namespace picket {

inline v1::Test MakeTest(const std::string& text) {
  v1::Test test;
  PICKET_CHECK(google::protobuf::TextFormat::ParseFromString(text, &test));
  test.set_suite("s");
  test.set_id("t");
  test.set_name("t");
  if (!test.has_timeout()) test.mutable_timeout()->set_seconds(10);
  for (v1::Step& step : *test.mutable_steps()) {
    v1::HttpCheck& http = *step.mutable_http();
    if (http.method().empty()) http.set_method("GET");
    if (http.url().empty()) http.set_url("http://shop.example/");
    http.set_follow_redirects(true);
    if (http.max_redirects() == 0) http.set_max_redirects(10);
    if (!http.has_tls()) http.mutable_tls()->set_verify(true);
  }
  return test;
}

// An engine's worth of services around one FakeLoop.
class Bench {
 public:
  explicit Bench(FakeLoop::Script script) : loop(std::move(script)) {
    services.loop = &loop;
    services.clock = &loop.clock;
  }

  void Secrets(std::map<std::string, std::string> values) {
    secrets = MakeSecretSource("", std::move(values));
    services.secrets = secrets.get();
  }

  // Starts an attempt; its end is in `ended`.
  std::shared_ptr<Attempt> Start(const v1::Test& test, const FileContents& files = {}) {
    auto compiled = CompileTest(test, files);
    PICKET_CHECK(compiled.ok());
    CheckJob job;
    job.test = *compiled;
    job.row = row;
    job.columns = columns;
    job.seed = 7;
    job.gates = gates;
    auto attempt =
        std::make_shared<Attempt>(&services, std::move(job), quality, [this](v1::Attempt result) {
          PICKET_CHECK(!ended.has_value());
          ended = std::move(result);
        });
    attempt->Start();
    return attempt;
  }

  v1::Attempt Run(const std::string& text, const FileContents& files = {}) {
    Start(MakeTest(text), files);
    loop.Run();
    PICKET_CHECK(ended.has_value());
    return *ended;
  }

  FakeLoop loop;
  AttemptServices services;
  std::unique_ptr<SecretSource> secrets;
  std::optional<v1::Row> row;
  std::vector<std::string> columns;
  v1::Quality quality;
  std::vector<GateTimes> gates;
  std::optional<v1::Attempt> ended;
};

inline constexpr char kIs200[] =
    "expect { subject: status operations { operator: is operand_json: '200' } }";

inline FakeLoop::Script Always(TransferResult result) {
  return [result](const TransferRequest&) { return result; };
}

inline std::string HeaderOf(const TransferRequest& request, absl::string_view name) {
  return JoinedHeader(request.headers, name).value_or("(none)");
}

}  // namespace picket

#endif  // TESTS_UNIT_ENGINE_TEST_BUILDER_H_
