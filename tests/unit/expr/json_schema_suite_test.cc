// Measures json_schema.h with the public JSON-Schema-Test-Suite, as Debian packages it or
// where PICKET_JSON_SCHEMA_TEST_SUITE says (the folder that holds `tests`). Every group
// left out is listed here with its reason, and must be refused when it is compiled: what
// is not supported may never be judged wrongly.

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/expr/json.h"
#include "common/expr/json_schema.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

namespace fs = std::filesystem;

std::string SuiteFolder() {
  const char* named = std::getenv("PICKET_JSON_SCHEMA_TEST_SUITE");
  return named != nullptr ? named : "/usr/share/json-schema-test-suite";
}

struct LeftOut {
  std::string file;   // without .json
  std::string group;  // empty: the whole file
  std::string reason;
};

const std::vector<LeftOut>& AllLeftOut() {
  constexpr char kRemote[] = "refers to another document, and none is ever fetched";
  constexpr char kUnevaluated[] = "needs unevaluated*, which is not supported";
  static const auto& list = *new std::vector<LeftOut>{
      {"refRemote", "", kRemote},
      {"unevaluatedItems", "", kUnevaluated},
      {"unevaluatedProperties", "", kUnevaluated},
      {"dynamicRef", "", "needs $dynamicRef, which is not supported"},
      {"vocabulary", "", "needs a metaschema of its own, which would be fetched"},
      {"definitions", "valid definition", kRemote},
      {"definitions", "invalid definition", kRemote},
      {"definitions", "validate definition against metaschema", kRemote},
      {"defs", "validate definition against metaschema", kRemote},
      {"ref", "remote ref, containing refs itself", kRemote},
      {"ref", "ref creates new scope when adjacent to keywords", kUnevaluated},
      {"not", "collect annotations inside a 'not', even if collection is disabled", kUnevaluated},
      {"pattern", "pattern with Unicode property escape requires unicode mode",
       "RE2 knows \\p{L} but not the long name \\p{Letter}"},
      {"patternProperties", "patternProperties with Unicode property escape",
       "RE2 knows \\p{L} but not the long name \\p{Letter}"},
  };
  return list;
}

const LeftOut* FindLeftOut(const std::string& file, const std::string& group) {
  for (const LeftOut& entry : AllLeftOut()) {
    if (entry.file == file && (entry.group.empty() || entry.group == group)) return &entry;
  }
  return nullptr;
}

struct Tally {
  int passed = 0;
  int left_out = 0;
};

// Whether every test of the group comes out as it says; `why` tells the first that does not.
bool GroupPasses(const Json& group, JsonSchema::Draft draft, int* tests, std::string* why) {
  const auto schema = JsonSchema::Compile(group["schema"], draft);
  if (!schema.ok()) {
    *why = schema.status().ToString();
    return false;
  }
  for (const Json& test : group["tests"]) {
    const auto result = (*schema)->Validate(test["data"]);
    if (!result.ok() || result->valid != test["valid"].get<bool>() ||
        result->valid != result->errors.empty()) {
      *why = absl::StrCat(ToText(test["description"]), ": ", result.status().ToString());
      return false;
    }
    ++*tests;
  }
  return true;
}

void RunFile(const fs::path& path, JsonSchema::Draft draft, Tally* tally) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  ASSERT_OK_AND_ASSIGN(const Json groups, ParseJson(text.str()));
  for (const Json& group : groups) {
    const std::string name = group["description"].get<std::string>();
    // Debian's older suite keeps the targets of this group under unknown keywords.
    const bool unknown_keyword =
        name == "escaped pointer ref" && FindMember(group["schema"], "percent%field") != nullptr;
    const LeftOut* left_out = FindLeftOut(path.stem().string(), name);
    if (left_out != nullptr || unknown_keyword) {
      ++tally->left_out;
      EXPECT_THAT(JsonSchema::Compile(group["schema"], draft),
                  testing_support::StatusIs(absl::StatusCode::kInvalidArgument))
          << path.stem() << ": '" << name << "'";
      continue;
    }
    int tests = 0;
    std::string why;
    const bool passes = GroupPasses(group, draft, &tests, &why);
    EXPECT_TRUE(passes) << path.stem() << ": '" << name << "': " << why;
    tally->passed += tests;
  }
}

void RunDraft(const std::string& folder, JsonSchema::Draft draft, int tests_least) {
  const fs::path tests = fs::path(SuiteFolder()) / "tests" / folder;
  if (!fs::is_directory(tests)) GTEST_SKIP() << tests << " is absent";
  Tally tally;
  for (const auto& entry : fs::directory_iterator(tests)) {
    if (entry.path().extension() == ".json") RunFile(entry.path(), draft, &tally);
  }
  ::testing::Test::RecordProperty("passed", tally.passed);
  ::testing::Test::RecordProperty("groups_left_out", tally.left_out);
  std::printf("%s: %d tests passed, %d groups left out\n", folder.c_str(), tally.passed,
              tally.left_out);
  EXPECT_GE(tally.passed, tests_least);
}

TEST(JsonSchemaSuiteTest, Draft7AgreesWithThePublicSuite) {
  RunDraft("draft7", JsonSchema::Draft::k7, 398);
}

TEST(JsonSchemaSuiteTest, Draft2020AgreesWithThePublicSuite) {
  RunDraft("draft2020-12", JsonSchema::Draft::k2020_12, 1000);
}

}  // namespace
}  // namespace picket
