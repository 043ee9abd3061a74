// Suites and what the parser says of them, word for word. PICKET_UPDATE_GOLDEN=1 writes
// the expectations anew; read the difference before keeping it.
//
//   bad/NAME.yaml   with bad/NAME.err     every diagnostic, one a line
//   good/NAME.yaml  with good/NAME.json   the folded Suite as proto3 JSON

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/expr/json_schema.h"
#include "common/policy/validate.h"
#include "common/suite_file/reference.h"
#include "common/suite_file/suite_file.h"
#include "common/suite_file/yaml_tree.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

namespace fs = std::filesystem;

const std::string kHere = std::string(PICKET_SOURCE_DIR) + "/tests/golden/suite_file";

bool Updating() { return std::getenv("PICKET_UPDATE_GOLDEN") != nullptr; }

std::string Read(const std::string& path) {
  return ReadFile(path, 64u << 20).value_or("(no such file)");
}

void ExpectGolden(const std::string& path, const std::string& actual) {
  if (Updating()) {
    ASSERT_OK(WriteFileAtomically(path, actual));
    return;
  }
  EXPECT_EQ(actual, Read(path)) << path << " (PICKET_UPDATE_GOLDEN=1 writes it anew)";
}

std::vector<std::string> Suites(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(kHere + "/" + folder)) {
    if (entry.path().extension() == ".yaml") names.insert(entry.path().stem().string());
  }
  return {names.begin(), names.end()};
}

ParsedSuite Parse(const std::string& folder, const std::string& name) {
  ParseOptions options;
  options.file_name = name + ".yaml";
  return ParseSuiteFile(absl::StrCat(kHere, "/", folder, "/", name, ".yaml"), options, false);
}

TEST(BadSuiteTest, EveryDiagnosticIsAsPinned) {
  const std::vector<std::string> names = Suites("bad");
  EXPECT_GE(names.size(), 60u);
  for (const std::string& name : names) {
    const ParsedSuite parsed = Parse("bad", name);
    EXPECT_FALSE(parsed.diagnostics.empty()) << name;
    std::string text;
    for (const Diagnostic& d : parsed.diagnostics) absl::StrAppend(&text, d.ToString(), "\n");
    ExpectGolden(absl::StrCat(kHere, "/bad/", name, ".err"), text);
  }
}

TEST(GoodSuiteTest, FoldedSuiteIsAsPinned) {
  for (const std::string& name : Suites("good")) {
    const ParsedSuite parsed = Parse("good", name);
    ASSERT_TRUE(parsed.diagnostics.empty()) << parsed.diagnostics[0].ToString();
    google::protobuf::util::JsonPrintOptions print;
    print.add_whitespace = true;
    print.preserve_proto_field_names = true;
    std::string json;
    ASSERT_TRUE(google::protobuf::util::MessageToJsonString(parsed.suite, &json, print).ok());
    ExpectGolden(absl::StrCat(kHere, "/good/", name, ".json"), json);
  }
}

TEST(GoodSuiteTest, CoordinatorWouldAcceptIt) {
  for (const std::string& name : Suites("good")) {
    const ParsedSuite parsed = Parse("good", name);
    v1::RunSpec spec;
    *spec.add_suites() = parsed.suite;
    for (const v1::Blob& blob : parsed.blobs) *spec.add_blobs() = blob;
    EXPECT_OK(ValidateRunSpec(spec)) << name;
  }
}

absl::StatusOr<Json> AsJson(const std::string& folder, const std::string& name) {
  const std::string text = Read(absl::StrCat(kHere, "/", folder, "/", name, ".yaml"));
  const YamlDocument document = ReadYaml(text);
  if (document.root == nullptr || !document.errors.empty()) {
    return absl::InvalidArgumentError("not YAML");
  }
  const YamlNode* culprit = nullptr;
  return YamlToJson(*document.root, &culprit);
}

TEST(SuiteJsonSchemaTest, AcceptsEveryGoodSuite) {
  ASSERT_OK_AND_ASSIGN(const Json schema, ParseJson(SuiteJsonSchema()));
  ASSERT_OK_AND_ASSIGN(const auto compiled, JsonSchema::Compile(schema));
  for (const std::string& name : Suites("good")) {
    ASSERT_OK_AND_ASSIGN(const Json suite, AsJson("good", name));
    ASSERT_OK_AND_ASSIGN(const JsonSchema::Result result, compiled->Validate(suite));
    EXPECT_TRUE(result.valid) << name << ": " << result.errors[0].instance << " "
                              << result.errors[0].keyword << " " << result.errors[0].message;
  }
}

TEST(SuiteJsonSchemaTest, RefusesStructuralMistakes) {
  ASSERT_OK_AND_ASSIGN(const Json schema, ParseJson(SuiteJsonSchema()));
  ASSERT_OK_AND_ASSIGN(const auto compiled, JsonSchema::Compile(schema));
  for (const std::string name : {"key_unknown",
                                 "key_unknown_in_test",
                                 "key_unknown_in_request",
                                 "name_missing",
                                 "tests_empty",
                                 "tests_map",
                                 "timeout_number",
                                 "timeout_bad_unit",
                                 "retry_bad",
                                 "request_and_steps",
                                 "request_missing",
                                 "body_two_kinds",
                                 "must_fail_true",
                                 "url_missing",
                                 "expect_map",
                                 "expect_two_subjects",
                                 "expect_unknown_subject",
                                 "expect_no_operator",
                                 "expect_unknown_operator",
                                 "expect_operator_does_not_fit",
                                 "expect_missing_argument",
                                 "expect_bad_argument",
                                 "policy_bad",
                                 "extract_bad",
                                 "for_each_both",
                                 "defaults_bad"}) {
    ASSERT_OK_AND_ASSIGN(const Json suite, AsJson("bad", name));
    ASSERT_OK_AND_ASSIGN(const JsonSchema::Result result, compiled->Validate(suite));
    EXPECT_FALSE(result.valid) << name;
  }
}

TEST(SuiteJsonSchemaTest, IsAsPinned) { ExpectGolden(kHere + "/schema.json", SuiteJsonSchema()); }

TEST(SuiteFormatPageTest, TablesAreThoseOfTheCode) {
  const std::string path = std::string(PICKET_SOURCE_DIR) + "/docs/SUITE_FORMAT.md";
  const std::string page = Read(path);
  for (const auto& [name, table] : ReferenceTables()) {
    EXPECT_THAT(page, ::testing::HasSubstr(absl::StrCat("<!-- table: ", name, " -->"))) << name;
  }
  EXPECT_THAT(page, ::testing::Not(::testing::HasSubstr("There is no table")));
  ExpectGolden(path, WithReferenceTables(page));
}

// The suites that the page shows are good ones.
TEST(SuiteFormatPageTest, ExamplesParse) {
  const std::string page = Read(std::string(PICKET_SOURCE_DIR) + "/docs/SUITE_FORMAT.md");
  int examples = 0;
  for (size_t at = page.find("```yaml\nversion: 1"); at != std::string::npos;
       at = page.find("```yaml\nversion: 1", at + 1)) {
    const std::string suite = page.substr(at + 8, page.find("```\n", at + 8) - at - 8);
    SuiteFolder folder(kHere + "/good/design.yaml", false);
    ParseOptions options;
    options.file_name = absl::StrCat("example ", ++examples);
    const ParsedSuite parsed = ParseSuite(suite, options, folder);
    EXPECT_TRUE(parsed.diagnostics.empty()) << parsed.diagnostics[0].ToString();
  }
  EXPECT_GE(examples, 2);
}

}  // namespace
}  // namespace picket
