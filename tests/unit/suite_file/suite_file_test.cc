#include "common/suite_file/suite_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/random.h"
#include "common/policy/limits.h"
#include "common/policy/operators.h"
#include "common/policy/sha256.h"
#include "common/policy/validate.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FakeFiles : public FileAccess {
 public:
  absl::StatusOr<std::string> Read(const std::string& path) override {
    ++reads;
    auto found = files.find(path);
    if (found == files.end()) return absl::NotFoundError(absl::StrCat("no file '", path, "'"));
    return found->second;
  }
  std::map<std::string, std::string> files;
  int reads = 0;
};

constexpr char kHead[] = "version: 1\nname: s\n";
constexpr char kTests[] = "tests:\n  - name: t\n    request: { url: \"http://a/\" }\n";

class SuiteFileTest : public ::testing::Test {
 protected:
  ParsedSuite Parse(absl::string_view text) {
    options_.file_name = "s.yaml";
    return ParseSuite(text, options_, files_);
  }
  // A suite of one test; `vars` and `test` are lines of YAML.
  ParsedSuite ParseTest(absl::string_view top, absl::string_view test = "") {
    return Parse(absl::StrCat(kHead, top, kTests, test));
  }
  static std::string All(const ParsedSuite& parsed) {
    std::string text;
    for (const Diagnostic& d : parsed.diagnostics) absl::StrAppend(&text, d.ToString(), "\n");
    return text;
  }
  static std::string Vars(const ParsedSuite& parsed) {
    std::string text;
    for (const v1::Variable& v : parsed.suite.tests(0).vars()) {
      absl::StrAppend(&text, v.name(), "=", v.json(), " ");
    }
    return text;
  }

  ParseOptions options_;
  FakeFiles files_;
};

TEST_F(SuiteFileTest, FileOverTheLimitIsRefusedUnread) {
  const std::string big(DefaultLimits().suite_file_bytes + 1, '[');
  EXPECT_THAT(All(Parse(big)), HasSubstr("s.yaml: the file has 16777217 bytes"));
  const std::string path = ::testing::TempDir() + "/big.yaml";
  ASSERT_OK(WriteFileAtomically(path, std::string(50u << 20, '#')));
  EXPECT_THAT(ParseSuiteFile(path, {}, false).diagnostics, SizeIs(1));
  ::unlink(path.c_str());
}

TEST_F(SuiteFileTest, MissingFileIsADiagnostic) {
  const ParsedSuite parsed = ParseSuiteFile("no/such/suite.yaml", {}, false);
  ASSERT_THAT(parsed.diagnostics, SizeIs(1));
  EXPECT_THAT(parsed.diagnostics[0].ToString(), HasSubstr("no/such/suite.yaml"));
}

TEST_F(SuiteFileTest, DeepNestingOfAnyKindIsRefusedWithoutACrash) {
  for (const std::string& open : {std::string("["), std::string("{a: "), std::string("- "),
                                  std::string("? "), std::string("{? ")}) {
    std::string deep = "version: 1\nvars:\n  a:\n    ";
    for (int i = 0; i < 100'000; ++i) deep += open;
    EXPECT_THAT(Parse(deep).diagnostics, Not(IsEmpty())) << open;
  }
}

TEST_F(SuiteFileTest, DepthOf64IsTheMost) {
  const auto nested = [](int depth) {
    return absl::StrCat("vars: { a: ", std::string(depth, '['), std::string(depth, ']'), " }\n");
  };
  EXPECT_THAT(All(ParseTest(nested(62))), "");
  EXPECT_THAT(All(ParseTest(nested(63))), HasSubstr("nested deeper than 64"));
}

TEST_F(SuiteFileTest, AliasesMayStandForAHundredThousandNodes) {
  // Ten nodes an anchor and one alias a line.
  const auto aliases = [](int count) {
    std::string text = "vars:\n  a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n  b: [";
    for (int i = 0; i < count; ++i) text += "*a,";
    return text + "0]\n";
  };
  EXPECT_THAT(All(ParseTest(aliases(10'000))), "");
  EXPECT_THAT(All(ParseTest(aliases(10'001))), HasSubstr("stand for more than 100000 nodes"));
}

TEST_F(SuiteFileTest, ValuesOfAFileEndSomewhereAndSoDoItsErrors) {
  const auto text = [](const std::string& head, const std::string& item, size_t count) {
    std::string text = head;
    for (size_t i = 0; i < count; ++i) text += item;
    return text + "]\n";
  };
  EXPECT_THAT(All(Parse(text("version: 1\nvars:\n  a: [", "1,", DefaultLimits().yaml_nodes))),
              HasSubstr("the file has more than 2000000 values"));
  // A million errors on one line are told as quickly as one, by characters.
  EXPECT_THAT(All(Parse(text("version: 1\nname: s\ntests: [é,", "a,", 1'000'000))),
              AllOf(HasSubstr("s.yaml:3:9: tests: expected a map, found 'é'"),
                    HasSubstr("s.yaml:3:11: tests: expected a map, found 'a'"),
                    HasSubstr("s.yaml:3:207: tests: expected a map, found 'a'")));
}

TEST_F(SuiteFileTest, AliasesDoNotHideDepth) {
  std::string text = "vars:\n  a0: &a0 [1]\n";
  for (int i = 1; i < 80; ++i) {
    absl::StrAppend(&text, "  a", i, ": &a", i, " [*a", i - 1, "]\n");
  }
  EXPECT_THAT(All(ParseTest(text)), HasSubstr("nested deeper than 64"));
}

TEST_F(SuiteFileTest, DiagnosticsAreBoundedAndInFileOrder) {
  std::string text = absl::StrCat(kHead, "tests:\n");
  for (int i = 0; i < 500; ++i) absl::StrAppend(&text, "  - nope: ", i, "\n");
  const ParsedSuite parsed = Parse(text);
  ASSERT_THAT(parsed.diagnostics, SizeIs(DefaultLimits().diagnostics));
  for (size_t i = 1; i < parsed.diagnostics.size(); ++i) {
    EXPECT_LE(parsed.diagnostics[i - 1].line, parsed.diagnostics[i].line);
  }
  EXPECT_EQ(parsed.diagnostics[0].line, 4);
}

TEST_F(SuiteFileTest, ManyTestsAreParsed) {
  std::string text = absl::StrCat(kHead, "tests:\n");
  for (int i = 0; i < 20'000; ++i) {
    absl::StrAppend(&text, "  - { name: t", i, ", request: { url: \"http://a/", i, "\" } }\n");
  }
  const ParsedSuite parsed = Parse(text);
  EXPECT_EQ(All(parsed), "");
  EXPECT_EQ(parsed.suite.tests_size(), 20'000);
}

// Whatever the bytes, the parser answers; a suite it calls good is valid.
TEST_F(SuiteFileTest, MutatedSuitesNeverCrash) {
  const std::string good = absl::StrCat(
      kHead, "vars: { base: \"http://a\", list: [1, {x: 2}] }\nsecrets: [K]\n", kTests,
      "    expect:\n      - json: { path: \"$.a\", is: \"{{ base }}\" }\n      - time: { below: 5s "
      "}\n    extract: [ { name: x, body: { regex: \"a(b)\" } } ]\n");
  ASSERT_EQ(All(Parse(good)), "");
  Random random(2024);
  const std::string bytes = "{}[]:,&*!|>'\"%@`#-? \n\t\\$0a\x80\xff";
  for (int round = 0; round < 3'000; ++round) {
    std::string text = good;
    for (uint64_t n = 1 + random.Below(4); n > 0; --n) {
      const size_t at = random.Below(text.size());
      switch (random.Below(3)) {
        case 0:
          text[at] = bytes[random.Below(bytes.size())];
          break;
        case 1:
          text.erase(at, 1 + random.Below(5));
          break;
        default:
          text.insert(at, 1, bytes[random.Below(bytes.size())]);
      }
    }
    const ParsedSuite parsed = Parse(text);
    if (!parsed.diagnostics.empty()) continue;
    for (const v1::Test& test : parsed.suite.tests()) EXPECT_OK(ValidateTest(test)) << text;
  }
}

TEST_F(SuiteFileTest, ColumnsCountCharacters) {
  const ParsedSuite parsed = Parse("version: 1\nname: s\nlabels: { \"größe\": ok, x: [] }\n");
  EXPECT_THAT(All(parsed), HasSubstr("s.yaml:3:27: labels.x"));
}

TEST_F(SuiteFileTest, VariablesAreThoseTheTestUsesInOrder) {
  const ParsedSuite parsed = ParseTest(
      "vars: { a: 1, b: \"{{ a }}\", unused: \"{{ a }}\", c: { x: [\"{{ b }}\"] } }\n"
      "secrets: [K, L]\n",
      "    expect: [ { body: { contains: \"{{ c }}\" } }, { body: \"{{ K }}\" } ]\n");
  EXPECT_EQ(All(parsed), "");
  EXPECT_EQ(Vars(parsed), "a=1 b=\"{{ a }}\" c={\"x\":[\"{{ b }}\"]} ");
  ASSERT_EQ(parsed.suite.tests(0).secrets_size(), 1);
  EXPECT_EQ(parsed.suite.tests(0).secrets(0).name(), "K");
  EXPECT_TRUE(parsed.suite.tests(0).secrets(0).agent_provided());
}

TEST_F(SuiteFileTest, CommandLineWinsOverVarsFileWinsOverVars) {
  constexpr char kVars[] = "vars: { a: 1, b: 2, c: 3 }\n";
  constexpr char kUse[] = "    expect: [ { body: \"{{ a }}{{ b }}{{ c }}\" } ]\n";
  options_.file_vars = {{"b", "\"file\""}, {"c", "\"file\""}, {"of_another_suite", "1"}};
  options_.vars = {{"c", "first"}, {"c", "5"}};
  const ParsedSuite parsed = ParseTest(kVars, kUse);
  EXPECT_EQ(All(parsed), "");
  EXPECT_EQ(Vars(parsed), "a=1 b=\"file\" c=5 ");
}

TEST_F(SuiteFileTest, CommandLineValuesAreYamlScalars) {
  constexpr char kVars[] = "vars: { a: 0 }\n";
  constexpr char kUse[] = "    expect: [ { body: \"{{ a }}\" } ]\n";
  const std::map<std::string, std::string> cases = {{"5", "5"},
                                                    {"true", "true"},
                                                    {"abc", "\"abc\""},
                                                    {"\"5\"", "\"5\""},
                                                    {"'x'", "\"x\""},
                                                    {"", "\"\""},
                                                    {"null", "null"},
                                                    {"1.5", "1.5"},
                                                    {"[1]", "\"[1]\""},
                                                    {"a: b", "\"a: b\""},
                                                    {"0x10", "16"},
                                                    {"yes", "\"yes\""},
                                                    {"http://x/#y", "\"http://x/#y\""}};
  for (const auto& [text, json] : cases) {
    options_.vars = {{"a", text}};
    const ParsedSuite parsed = ParseTest(kVars, kUse);
    EXPECT_EQ(All(parsed), "") << text;
    EXPECT_EQ(Vars(parsed), absl::StrCat("a=", json, " "));
  }
  options_.vars = {{"a", ".inf"}};
  EXPECT_THAT(All(ParseTest(kVars, kUse)), HasSubstr("-e a: JSON has no number .inf"));
  options_.vars = {{"a", "{{ nope }}"}};
  EXPECT_THAT(All(ParseTest(kVars, kUse)), HasSubstr("-e a: unknown variable 'nope'"));
}

TEST_F(SuiteFileTest, UndeclaredCommandLineNameIsAnError) {
  options_.vars = {{"b", "1"}};
  EXPECT_THAT(All(ParseTest("vars: { a: 1 }\n")),
              HasSubstr("-e b: the suite declares no variable 'b'"));
  options_.undeclared_vars_are_errors = false;
  const ParsedSuite parsed = ParseTest("vars: { a: 1 }\n");
  EXPECT_EQ(All(parsed), "");
  EXPECT_THAT(parsed.undeclared_vars, ElementsAre("b"));
}

TEST_F(SuiteFileTest, TestVariablesStandInPlaceOfTheSuites) {
  const ParsedSuite parsed = ParseTest("vars: { host: a, base: \"http://{{ host }}\" }\n",
                                       "    vars: { host: b, more: \"{{ base }}\" }\n"
                                       "    expect: [ { body: \"{{ more }}\" } ]\n");
  EXPECT_EQ(All(parsed), "");
  EXPECT_EQ(Vars(parsed), "host=\"b\" base=\"http://{{ host }}\" more=\"{{ base }}\" ");
}

TEST_F(SuiteFileTest, ColumnsShadowVariables) {
  const ParsedSuite parsed = ParseTest("vars: { sku: 1 }\n",
                                       "    for_each: { rows: [ { sku: 2 } ] }\n"
                                       "    expect: [ { body: \"{{ sku }}\" } ]\n");
  EXPECT_EQ(All(parsed), "");
  EXPECT_EQ(Vars(parsed), "");
  EXPECT_EQ(parsed.suite.tests(0).for_each().rows(0).cells(0), "2");
}

TEST_F(SuiteFileTest, FilesTravelOnceByDigest) {
  files_.files = {{"a.bin", "same"}, {"b.bin", "same"}, {"c.bin", "other"}};
  std::string text = absl::StrCat(kHead, "tests:\n");
  for (const char* file : {"a.bin", "b.bin", "c.bin", "a.bin"}) {
    static int number = 0;
    absl::StrAppend(&text, "  - { name: t", ++number,
                    ", request: { method: POST, url: \"http://a/\", body: { file: ", file,
                    " } } }\n");
  }
  const ParsedSuite parsed = Parse(text);
  EXPECT_EQ(All(parsed), "");
  EXPECT_THAT(parsed.blobs, SizeIs(2));
  EXPECT_EQ(files_.reads, 3);
  const v1::Test& test = parsed.suite.tests(1);
  EXPECT_EQ(test.steps(0).http().body().file(), "b.bin");
  ASSERT_EQ(test.files_size(), 1);
  EXPECT_EQ(test.files(0).sha256(), Sha256Digest("same"));
  EXPECT_EQ(test.files(0).size_bytes(), 4u);
}

TEST_F(SuiteFileTest, OverridesGoThroughTheSameChecks) {
  options_.overrides = {{"defaults.timeout", "5s"},
                        {"defaults.retry.attempts", "3"},
                        {"policy.locations", "{at_least: 1}"},
                        {"tests.t.locations", "[eu, us]"},
                        {"tests.t.blocking", "false"}};
  ParsedSuite parsed =
      ParseTest("policy: { locations: all, flaky: fail }\n", "    blocking: true\n");
  EXPECT_EQ(All(parsed), "");
  const v1::Test& test = parsed.suite.tests(0);
  EXPECT_EQ(test.timeout().seconds(), 5);
  EXPECT_EQ(test.retry().attempts(), 3u);
  EXPECT_EQ(test.policy().locations(), v1::Policy::AT_LEAST);
  EXPECT_EQ(test.policy().flaky(), v1::Policy::FLAKY_FAIL);
  EXPECT_EQ(test.locations_size(), 2);
  EXPECT_FALSE(test.blocking());

  options_.overrides = {{"defaults.timeout", "soon"},
                        {"tests.t.url", "x"},
                        {"name", "x"},
                        {"tests.nope.timeout", "1s"},
                        {"policy.flaky", "[a"}};
  EXPECT_THAT(
      All(ParseTest("")),
      AllOf(HasSubstr("--override defaults.timeout=soon: timeout: 'soon'"),
            HasSubstr("--override tests.t.url=x: a path may be"),
            HasSubstr("--override name=x: a path may be"), HasSubstr("no test has the id 'nope'"),
            HasSubstr("--override policy.flaky=[a: the value: not valid YAML")));
}

TEST_F(SuiteFileTest, OverrideDoesNotLeakThroughAnAlias) {
  options_.overrides = {{"defaults.retry.attempts", "7"}};
  const ParsedSuite parsed =
      ParseTest("defaults: { retry: &r { attempts: 2 } }\n",
                "  - { name: u, retry: *r, request: { url: \"http://a/\" } }\n");
  EXPECT_EQ(All(parsed), "");
  EXPECT_EQ(parsed.suite.tests(0).retry().attempts(), 7u);
  EXPECT_EQ(parsed.suite.tests(1).retry().attempts(), 2u);
}

TEST_F(SuiteFileTest, RetriesFlagReachesWhatDefaultsReach) {
  options_.retries = 2;
  const ParsedSuite parsed =
      ParseTest("defaults: { retry: { attempts: 9 } }\n",
                "  - { name: post, request: { method: POST, url: \"http://a/\" } }\n"
                "  - { name: own, retry: { attempts: 5 }, request: { url: \"http://a/\" } }\n");
  EXPECT_EQ(All(parsed), "");
  EXPECT_EQ(parsed.suite.tests(0).retry().attempts(), 3u);
  EXPECT_EQ(parsed.suite.tests(1).retry().attempts(), 1u);
  EXPECT_EQ(parsed.suite.tests(2).retry().attempts(), 5u);
  options_.retries = 100;
  EXPECT_THAT(All(ParseTest("")), HasSubstr("--retries 100: the most are 99"));
}

TEST_F(SuiteFileTest, RequestDefaultsAreJoinedNameByName) {
  const ParsedSuite parsed = Parse(absl::StrCat(
      kHead,
      "defaults: { request: { headers: { Accept: a, x-d: d }, connection: reuse, tls: { verify: "
      "false, min_version: 1.3 } } }\ntests:\n  - name: t\n    request: { url: \"http://a/\", "
      "headers: { accept: b, y: c }, tls: { verify: true } }\n"));
  EXPECT_EQ(All(parsed), "");
  const v1::HttpCheck& http = parsed.suite.tests(0).steps(0).http();
  std::string headers;
  for (const v1::NameValue& h : http.headers())
    absl::StrAppend(&headers, h.name(), "=", h.value(), " ");
  EXPECT_EQ(headers, "x-d=d accept=b y=c ");
  EXPECT_EQ(http.connection(), v1::HttpCheck::REUSE);
  EXPECT_TRUE(http.tls().verify());
  EXPECT_EQ(http.tls().min_version(), "1.3");
}

// What the table of common/policy allows is what the parser takes.
TEST_F(SuiteFileTest, OperatorIsTakenIffTheTableHasIt) {
  const std::map<v1::Operator::Value, std::string> operands = {
      {v1::Operator::one_of, "[VALUE]"}, {v1::Operator::exists, "true"},
      {v1::Operator::count, "1"},        {v1::Operator::type, "array"},
      {v1::Operator::schema, "true"},    {v1::Operator::matches, "x"},
      {v1::Operator::not_matches, "x"},  {v1::Operator::regression, "{at_most: 5%, over: 10}"}};
  for (const SubjectRow& row : SubjectRows()) {
    const SubjectForm& form = FormOf(row.subject);
    for (v1::Operator::Value op : AllOperators()) {
      std::string value = row.kind == ValueKind::kTime               ? "5s"
                          : row.kind == ValueKind::kStatus           ? "200"
                          : row.argument == "fingerprint"            ? std::string(64, 'a')
                          : row.subject == v1::Subject::ip           ? "127.0.0.1"
                          : row.subject == v1::Subject::tls          ? "1.2"
                          : row.subject == v1::Subject::http_version ? "1.1"
                                                                     : "7";
      auto operand = operands.find(op);
      std::string text = operand == operands.end() ? value : operand->second;
      if (text == "[VALUE]") text = absl::StrCat("[", value, "]");
      std::string argument;
      if (!form.key.empty()) {
        argument =
            absl::StrCat(form.key, ": ",
                         !row.argument.empty()              ? std::string(row.argument)
                         : !form.default_argument.empty()   ? std::string(form.default_argument)
                         : row.subject == v1::Subject::json ? "\"$.a\""
                                                            : "a",
                         ", ");
      }
      const std::string& subject = v1::Subject::Value_Name(row.subject);
      const ParsedSuite parsed =
          ParseTest("", absl::StrCat("    expect: [ { ", subject, ": { ", argument,
                                     v1::Operator::Value_Name(op), ": ", text, " } } ]\n"));
      EXPECT_EQ(parsed.diagnostics.empty(), Allows(row, op))
          << subject << " " << row.argument << " " << v1::Operator::Value_Name(op) << " "
          << All(parsed);
    }
  }
}

}  // namespace
}  // namespace picket
