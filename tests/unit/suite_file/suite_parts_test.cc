// The smaller parts: words, files, variables, scalars.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "common/base/files.h"
#include "common/policy/validate.h"
#include "common/suite_file/keys.h"
#include "common/suite_file/suite_file.h"
#include "common/suite_file/yaml_tree.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::HasSubstr;

TEST(KeysTest, MustFailWordsAreThoseOfThePolicy) {
  const Key* key = nullptr;
  for (const ObjectSpec* spec : AllSpecs()) {
    if (spec->name == "must_fail") key = FindKey(*spec, "reason");
  }
  ASSERT_NE(key, nullptr);
  std::vector<absl::string_view> expected;
  for (int i = 0; i < v1::FailureReason::Value_ARRAYSIZE; ++i) {
    const auto reason = static_cast<v1::FailureReason::Value>(i);
    if (IsMustFailReason(reason)) expected.push_back(v1::FailureReason::Value_Name(reason));
  }
  EXPECT_EQ(Words(key->type->element->words), expected);
}

TEST(KeysTest, NearestFindsSlipsOnly) {
  EXPECT_EQ(Nearest("statsu", {"status", "size"}), "status");
  EXPECT_EQ(Nearest("expct", {"expect", "extract"}), "expect");
  EXPECT_EQ(Nearest("colour", {"status", "size"}), "");
  EXPECT_EQ(Nearest("7", {"4", "6"}), "");
}

TEST(SuiteFolderTest, StaysInsideTheFolderOfTheSuite) {
  const std::string root = ::testing::TempDir() + "/suite_folder_test";
  const std::string inside = root + "/suites";
  ::mkdir(root.c_str(), 0755);
  ::mkdir(inside.c_str(), 0755);
  ::mkdir((inside + "/data").c_str(), 0755);
  ::mkdir((root + "/suites-next").c_str(), 0755);
  ASSERT_OK(WriteFileAtomically(root + "/secret", "outside"));
  ASSERT_OK(WriteFileAtomically(root + "/suites-next/x", "outside"));
  ASSERT_OK(WriteFileAtomically(inside + "/s.yaml", "x"));
  ASSERT_OK(WriteFileAtomically(inside + "/data/a.csv", "inside"));
  ::unlink((inside + "/link").c_str());
  ::unlink((inside + "/good-link").c_str());
  ASSERT_EQ(::symlink("../secret", (inside + "/link").c_str()), 0);
  ASSERT_EQ(::symlink("data/a.csv", (inside + "/good-link").c_str()), 0);

  SuiteFolder folder(inside + "/s.yaml", false);
  EXPECT_THAT(folder.Read("data/a.csv"), testing_support::IsOkAndHolds("inside"));
  EXPECT_THAT(folder.Read("data/../data/./a.csv"), testing_support::IsOkAndHolds("inside"));
  EXPECT_THAT(folder.Read("good-link"), testing_support::IsOkAndHolds("inside"));
  for (const char* outside :
       {"../secret", "link", "/etc/hostname", "../suites-next/x", "data/../../secret"}) {
    EXPECT_THAT(folder.Read(outside),
                StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(outside)));
  }
  EXPECT_THAT(folder.Read("nowhere"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("nowhere")));
  EXPECT_THAT(folder.Read(""), StatusIs(absl::StatusCode::kInvalidArgument));

  SuiteFolder open(inside + "/s.yaml", true);
  EXPECT_THAT(open.Read("../secret"), testing_support::IsOkAndHolds("outside"));
  EXPECT_THAT(open.Read(root + "/secret"), testing_support::IsOkAndHolds("outside"));
}

TEST(VarsFileTest, FlatMapOfValues) {
  const std::string path = ::testing::TempDir() + "/vars.yaml";
  ASSERT_OK(WriteFileAtomically(path, "base: http://a\nlist: [1, {x: true}]\n"));
  ASSERT_OK_AND_ASSIGN(const auto vars, ReadVarsFile(path));
  EXPECT_EQ(vars.at("base"), "\"http://a\"");
  EXPECT_EQ(vars.at("list"), "[1,{\"x\":true}]");
  ASSERT_OK(WriteFileAtomically(path, "a: 1\na: 2\n"));
  EXPECT_THAT(ReadVarsFile(path), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("vars.yaml:2:1: the key 'a' is there twice")));
  ASSERT_OK(WriteFileAtomically(path, "[1]"));
  EXPECT_THAT(ReadVarsFile(path), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ResolveScalarTest, CoreSchemaOfYaml12) {
  using enum ScalarType;
  const std::map<std::string, ScalarType> cases = {
      {"", kNull},           {"~", kNull},       {"null", kNull},    {"Null", kNull},
      {"nULL", kText},       {"true", kBool},    {"False", kBool},   {"yes", kText},
      {"on", kText},         {"0", kInteger},    {"-12", kInteger},  {"+3", kInteger},
      {"010", kInteger},     {"0o17", kInteger}, {"0xFf", kInteger}, {"0o9", kText},
      {"0x", kText},         {"1_000", kText},   {"1.", kFloat},     {".5", kFloat},
      {"-1.5e+3", kFloat},   {"1e3", kFloat},    {".inf", kFloat},   {"-.INF", kFloat},
      {".nan", kFloat},      {"-.nan", kText},   {"1.2.3", kText},   {"12:30", kText},
      {"2001-12-14", kText}, {".", kText},       {"-", kText},       {"+", kText},
      {"e5", kText},         {"1e", kText}};
  for (const auto& [text, type] : cases) EXPECT_EQ(ResolveScalar(text), type) << text;
}

}  // namespace
}  // namespace picket
