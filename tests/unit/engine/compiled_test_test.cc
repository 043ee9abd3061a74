#include "agent/engine/compiled_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/unit/engine/test_builder.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(CompileTest, NamesTheFieldThatCannotBeRun) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"steps { http { url: 'http://{{' } }", "url"},
      {"steps { } steps { expect { subject: json argument: '$[' operations { operator: exists "
       "operand_json: 'true' } } }",
       "steps[1]: expect[0]"},
      {"steps { expect { subject: body operations { operator: matches operand_json: '\"(\"' } } }",
       "matches"},
      {"steps { expect { subject: json argument: '$' operations { operator: schema operand_json: "
       "'{\"tpye\":1}' } } }",
       "schema"},
      {"steps { expect { subject: status operations { operator: is operand_json: '{' } } }", "is"},
      {"steps { extract { name: 'x' body { regex: 'a' group: 1 } } }", "extract.x"},
      {"steps { extract { name: 'x' xpath: '//[' } }", "extract.x"},
      {"vars { name: 'v' json: '\"{{ }}\"' } steps { }", "vars.v"},
      {"steps { http { body { file: 'nope' } } }", "nope"},
      {"timeout { seconds: 999999 } steps { }", "timeout"},
      {"", "steps"}};
  for (const auto& [text, field] : cases) {
    EXPECT_THAT(CompileTest(MakeTest(text), {}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("test s/t"), HasSubstr(field))))
        << text;
  }
}

TEST(CompileTest, KeepsOnlySecretsThatAreUsed) {
  ASSERT_OK_AND_ASSIGN(auto test, CompileTest(MakeTest(R"(
    secrets { name: "A" agent_provided: true } secrets { name: "B" agent_provided: true }
    steps { http { headers { name: "X" value: "{{ B }}" } } })"),
                                              {}));
  EXPECT_THAT(test->secrets, ElementsAre("B"));
}

TEST(CompileTest, BindsFilesByDigest) {
  v1::Test test = MakeTest(
      "files { path: 'ca.pem' sha256: 'd' } steps { http { tls { verify: true "
      "ca: 'ca.pem' } } }");
  EXPECT_THAT(CompileTest(test, {}), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK_AND_ASSIGN(auto compiled,
                       CompileTest(test, {{"d", std::make_shared<const std::string>("PEM")}}));
  EXPECT_EQ(*compiled->steps[0].tls.ca, "PEM");
}

}  // namespace
}  // namespace picket
