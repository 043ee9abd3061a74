#include "common/expr/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/expr/limits.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// 2023-11-14T22:13:20.123456Z, a Tuesday.
const absl::Time kNow = absl::FromUnixMicros(1'700'000'000'123'456);

class TemplateTest : public ::testing::Test {
 protected:
  void Set(const std::string& name, Json value, bool secret = false) {
    scope_[name] = {std::move(value), secret};
  }

  TemplateContext Context() {
    return {[this](absl::string_view name) -> const TemplateValue* {
              const auto it = scope_.find(std::string(name));
              return it == scope_.end() ? nullptr : &it->second;
            },
            kNow, &random_};
  }

  std::string Render(absl::string_view text, RenderMode mode = RenderMode::kText) {
    const auto parsed = Template::Parse(text);
    if (!parsed.ok()) return parsed.status().ToString();
    const auto rendered = parsed->Render(Context(), mode);
    return rendered.ok() ? rendered->text : rendered.status().ToString();
  }

  std::string RenderJson(absl::string_view text) {
    const auto parsed = Template::Parse(text);
    if (!parsed.ok()) return parsed.status().ToString();
    const auto rendered = parsed->RenderJson(Context());
    return rendered.ok() ? ToText(rendered->value) : rendered.status().ToString();
  }

  std::string RenderTree(absl::string_view json) {
    auto tree = ParseJson(json);
    EXPECT_TRUE(tree.ok()) << tree.status();
    const auto rendered = RenderJsonTree(*tree, Context());
    return rendered.ok() ? ToText(rendered->value) : rendered.status().ToString();
  }

  std::map<std::string, TemplateValue> scope_;
  Random random_{7};
};

TEST_F(TemplateTest, TextWithoutInsertionsIsItself) {
  EXPECT_EQ(Render("a { b } }} c | \\ '"), "a { b } }} c | \\ '");
  EXPECT_EQ(Render(""), "");
  EXPECT_TRUE(Template().is_literal());
}

TEST_F(TemplateTest, VariablesAreReplacedOnce) {
  Set("name", "{{ other }}");
  Set("other", "never");
  EXPECT_EQ(Render("<{{ name }}|{{name}}|{{\tname\n}}>"), "<{{ other }}|{{ other }}|{{ other }}>");
}

TEST_F(TemplateTest, QuotedStringsPrintThemselves) {
  EXPECT_EQ(Render("{{ '{{' }} x }}"), "{{ x }}");
  EXPECT_EQ(Render(R"({{ "}}'\"\\" }})"), R"(}}'"\)");
}

TEST_F(TemplateTest, EveryJsonTypeHasAText) {
  Set("s", "text");
  Set("i", 42);
  Set("f", 1.5);
  Set("b", true);
  Set("n", nullptr);
  Set("o", Json::object({{"k", Json::array({1, "x"})}}));
  EXPECT_EQ(Render("{{s}} {{i}} {{f}} {{b}} {{n}} {{o}}"),
            R"(text 42 1.5 true null {"k":[1,"x"]})");
}

TEST_F(TemplateTest, AScalarThatIsOneInsertionKeepsItsType) {
  Set("i", 42);
  Set("o", Json::object({{"k", 1}}));
  EXPECT_EQ(RenderJson("{{ i }}"), "42");
  EXPECT_EQ(RenderJson("{{ o }}"), "{\"k\":1}");
  EXPECT_EQ(RenderJson(" {{ i }}"), "\" 42\"");
  EXPECT_EQ(RenderJson("{{ i }}{{ i }}"), "\"4242\"");
  EXPECT_EQ(RenderJson("{{ timestamp }}"), "1700000000");
  EXPECT_EQ(RenderJson("{{ '42' }}"), "\"42\"");
  EXPECT_EQ(RenderJson("plain"), "\"plain\"");
}

TEST_F(TemplateTest, AnUnknownVariableIsNotFound) {
  const auto parsed = Template::Parse("a {{ missing }}");
  ASSERT_OK(parsed);
  EXPECT_THAT(parsed->Render(Context(), RenderMode::kText),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("'missing'")));
  EXPECT_THAT(RenderJson("{{ missing }}"), HasSubstr("NOT_FOUND"));
}

TEST_F(TemplateTest, NamesAreKnownBeforeAnythingIsRendered) {
  ASSERT_OK_AND_ASSIGN(const Template parsed,
                       Template::Parse("{{ b }}{{ a-1 }}{{ b | raw }}{{ uuid }}{{ date(1) }}"));
  EXPECT_THAT(parsed.variables(), ElementsAre("b", "a-1"));
  EXPECT_THAT(parsed.builtins(), ElementsAre("uuid", "date"));
  EXPECT_FALSE(parsed.is_literal());
}

TEST_F(TemplateTest, UrlsEncodeAllButAnInsertionInFront) {
  Set("base", "https://example.com:8080/a");
  Set("id", "a b/c?d=é&~-._");
  EXPECT_EQ(Render("{{ base }}/x y/{{ id }}", RenderMode::kUrl),
            "https://example.com:8080/a/x y/a%20b%2Fc%3Fd%3D%C3%A9%26~-._");
  EXPECT_EQ(Render("{{ base }}/{{ id | raw }}", RenderMode::kUrl),
            "https://example.com:8080/a/a b/c?d=é&~-._");
  EXPECT_EQ(Render(" {{ base }}", RenderMode::kUrl), " https%3A%2F%2Fexample.com%3A8080%2Fa");
}

TEST_F(TemplateTest, QueriesEncodeEverythingButRaw) {
  Set("v", "1+1=2");
  EXPECT_EQ(Render("a b {{ v }}", RenderMode::kQuery), "a%20b%201%2B1%3D2");
  EXPECT_EQ(Render("{{ v }}", RenderMode::kQuery), "1%2B1%3D2");
  EXPECT_EQ(Render("{{ v|raw }}&", RenderMode::kQuery), "1+1=2%26");
  EXPECT_EQ(PercentEncode(std::string("\0\x7f", 2)), "%00%7F");
}

TEST_F(TemplateTest, HeadersRefuseLineEndsAndNul) {
  for (const char c : {'\r', '\n', '\0'}) {
    const std::string value = absl::StrCat("sec", std::string(1, c), "ret");
    Set("v", value);
    EXPECT_THAT(Render("Bearer {{ v }}", RenderMode::kHeader),
                AllOf(HasSubstr("INVALID_ARGUMENT"), HasSubstr("'v'"), Not(HasSubstr("sec"))));
    EXPECT_THAT(Render("{{ v | raw }}", RenderMode::kHeader), HasSubstr("INVALID_ARGUMENT"));
    EXPECT_THAT(Render(value, RenderMode::kHeader), HasSubstr("INVALID_ARGUMENT"));
  }
  Set("v", "tab\tand é");
  EXPECT_EQ(Render("{{ v }}", RenderMode::kHeader), "tab\tand é");
}

TEST_F(TemplateTest, TheUseOfASecretIsReported) {
  Set("open", "o");
  Set("token", "t", /*secret=*/true);
  ASSERT_OK_AND_ASSIGN(const Template with, Template::Parse("{{ open }}{{ token }}{{ open }}"));
  ASSERT_OK_AND_ASSIGN(const Template without, Template::Parse("{{ open }}"));
  EXPECT_TRUE(with.Render(Context(), RenderMode::kText)->uses_secret);
  EXPECT_FALSE(without.Render(Context(), RenderMode::kText)->uses_secret);
  ASSERT_OK_AND_ASSIGN(const Template alone, Template::Parse("{{ token }}"));
  EXPECT_TRUE(alone.RenderJson(Context())->uses_secret);
  EXPECT_TRUE(RenderJsonTree(Json::array({"{{ token }}"}), Context())->uses_secret);
  EXPECT_TRUE(RenderJsonTree(Json::object({{"{{ token }}", 1}}), Context())->uses_secret);
  EXPECT_FALSE(RenderJsonTree(Json::array({"token"}), Context())->uses_secret);
}

TEST_F(TemplateTest, TimestampsCountInTheirUnit) {
  EXPECT_EQ(Render("{{ timestamp }}"), "1700000000");
  EXPECT_EQ(Render("{{ timestamp() }}"), "1700000000");
  EXPECT_EQ(Render("{{ timestamp(-10) }}"), "1699999990");
  EXPECT_EQ(Render("{{ timestamp(1, m) }}"), "1700000060");
  EXPECT_EQ(Render("{{ timestamp(1, 'h') }}"), "1700003600");
  EXPECT_EQ(Render("{{ timestamp( +1 , d ) }}"), "1700086400");
  EXPECT_EQ(Render("{{ timestamp(0, ms) }}"), "1700000000123");
  EXPECT_EQ(Render("{{ timestamp(-123, ms) }}"), "1700000000000");
  EXPECT_EQ(Render("{{ timestamp(1, us) }}"), "1700000000123457");
}

TEST_F(TemplateTest, DatesAreFormattedInUtc) {
  EXPECT_EQ(Render("{{ date }}"), "2023-11-14T22:13:20Z");
  EXPECT_EQ(Render("{{ date(-1d) }}"), "2023-11-13T22:13:20Z");
  EXPECT_EQ(Render("{{ date(3600) }}"), "2023-11-14T23:13:20Z");
  EXPECT_EQ(Render("{{ date(1h30m, '%F %T') }}"), "2023-11-14 23:43:20");
  EXPECT_EQ(Render("{{ date(0, %d/%m/%y) }}"), "14/11/23");
  EXPECT_EQ(Render("{{ date(2w, \"%a %A %b %B %e %j %I%p %H:%M:%S.%L %z %Z %s %%\") }}"),
            "Tue Tuesday Nov November 28 332 10PM 22:13:20.123 +0000 UTC 1701209600 %");
  EXPECT_EQ(Render("{{ date(-500ms, '%S.%L') }}"), "19.623");
}

TEST_F(TemplateTest, ChanceComesFromTheSeedAlone) {
  const std::string text = "{{ uuid }} {{ numeric(4) }} {{ alphabetic(5) }} {{ alphanumeric(6) }}";
  random_ = Random(99);
  const std::string first = Render(text);
  random_ = Random(99);
  EXPECT_EQ(Render(text), first);
  EXPECT_NE(Render(text), first);
  EXPECT_TRUE(IsUuid(first.substr(0, 36)));
  EXPECT_THAT(first.substr(36), testing::MatchesRegex(" [0-9]{4} [A-Za-z]{5} [A-Za-z0-9]{6}"));
}

TEST_F(TemplateTest, EachUseDrawsAnew) {
  const std::string two = Render("{{ uuid }}{{ uuid }}");
  EXPECT_NE(two.substr(0, 36), two.substr(36));
}

TEST_F(TemplateTest, MistakesNameTheirPlace) {
  const struct {
    absl::string_view text;
    size_t offset;
    absl::string_view what;
  } kCases[] = {
      {"a {{", 4, "a variable"},
      {"a {{ }}", 5, "a variable"},
      {"{{ 1x }}", 3, "a variable"},
      {"{{ a", 4, "'}}'"},
      {"{{ a b }}", 5, "'}}'"},
      {"{{ a }", 5, "'}}'"},
      {"{{ a | rare }}", 7, "'raw'"},
      {"{{ a | raw raw }}", 11, "'}}'"},
      {"{{ 'a }}", 3, "no closing quote"},
      {"{{ a.b }}", 4, "'}}'"},
      {"{{ random(3) }}", 3, "no built-in 'random'"},
      {"{{ uuid(1) }}", 3, "used as uuid"},
      {"{{ numeric }}", 3, "used as numeric(n)"},
      {"{{ numeric(x) }}", 11, "'x'"},
      {"{{ numeric(0) }}", 11, "from 1 to 10000"},
      {"{{ alphabetic(10001) }}", 14, "from 1 to 10000"},
      {"{{ alphanumeric(1, 2) }}", 3, "2 arguments"},
      {"{{ timestamp(1.5) }}", 13, "whole number"},
      {"{{ timestamp(1, w) }}", 16, "unit"},
      {"{{ timestamp(99999999, d) }}", 13, "36500 days"},
      {"{{ date(soon) }}", 8, "'soon'"},
      {"{{ date(1h2) }}", 8, "'1h2'"},
      {"{{ date(-) }}", 8, "'-'"},
      {"{{ date(99999999999999999999d) }}", 8, "no number"},
      {"{{ date(999999999999h) }}", 8, "36500 days"},
      {"{{ date(0, '%Q') }}", 11, "'%Q'"},
      {"{{ date(0, '%') }}", 11, "no directive"},
      {"{{ date(0 }}", 10, "',' or ')'"},
      {"{{ date(0,) }}", 10, "an argument"},
      {"é {{ 1 }}", 6, "character 6 "},
  };
  for (const auto& c : kCases) {
    size_t offset = 999;
    EXPECT_THAT(Template::Parse(c.text, &offset),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(std::string(c.what))))
        << c.text;
    EXPECT_EQ(offset, c.offset) << c.text;
  }
}

TEST_F(TemplateTest, SizesAreBounded) {
  const Limits& limits = DefaultLimits();
  EXPECT_OK(Template::Parse(std::string(limits.template_bytes, 'x')));
  EXPECT_THAT(Template::Parse(std::string(limits.template_bytes + 1, 'x')),
              StatusIs(absl::StatusCode::kInvalidArgument));
  std::string many;
  for (size_t i = 0; i <= DefaultExprLimits().template_insertions; ++i) many += "{{a}}";
  EXPECT_THAT(Template::Parse(many),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("10000 insertions")));

  Set("a", std::string(limits.rendered_bytes / 4, ' '));
  EXPECT_EQ(Render("{{a}}{{a}}{{a}}{{a}}").size(), limits.rendered_bytes);
  EXPECT_THAT(Render("{{a}}{{a}}{{a}}{{a}}."), HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(Render("{{a}}{{a}}", RenderMode::kQuery), HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(RenderTree(R"(["{{a}}","{{a}}","{{a}}",{"k":"{{a}}"}])"),
              HasSubstr("RESOURCE_EXHAUSTED"));
}

TEST_F(TemplateTest, TreesAreFilledWithoutChangingTheirShape) {
  Set("name", "x\",\"admin\":true,\"y");
  Set("count", 3);
  Set("list", Json::array({1, Json::object({{"deep", "{{ name }}"}})}));
  EXPECT_EQ(RenderTree(R"({"n":"{{ name }}","c":"{{ count }}","s":"c={{ count }}","k":[1,null,
                          "{{ list }}"],"{{ count }}":"lit"})"),
            R"({"n":"x\",\"admin\":true,\"y","c":3,"s":"c=3","k":[1,null,)"
            R"([1,{"deep":"{{ name }}"}]],"3":"lit"})");
}

TEST_F(TemplateTest, ATreeListsItsNamesAndItsMistakes) {
  ASSERT_OK_AND_ASSIGN(const JsonTemplate tree,
                       JsonTemplate::Parse(Json::object(
                           {{"{{ a }}", "{{ b }}"}, {"x", Json::array({"{{ a }}{{uuid}}"})}})));
  EXPECT_THAT(tree.variables(), ElementsAre("a", "b"));
  EXPECT_THAT(tree.builtins(), ElementsAre("uuid"));
  EXPECT_THAT(JsonTemplate::Parse(Json::object({{"a/b", Json::array({1, "{{ ! }}"})}})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'/a~1b/1'")));
}

TEST_F(TemplateTest, TwoMembersMayNotRenderToOneName) {
  Set("k", "a");
  EXPECT_THAT(RenderTree(R"({"a":1,"{{ k }}":2})"), HasSubstr("INVALID_ARGUMENT"));
}

TEST_F(TemplateTest, ARenderedTreeIsNoDeeperThanJsonMayBe) {
  Json deep = 1;
  for (int i = 0; i < DefaultLimits().json_depth; ++i) deep = Json::array({deep});
  Set("deep", deep);
  EXPECT_THAT(RenderTree(R"(["{{ deep }}"])"), HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(RenderTree(R"("{{ deep }}")"), Not(HasSubstr("RESOURCE_EXHAUSTED")));
  EXPECT_THAT(JsonTemplate::Parse(Json::array({deep})),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(TemplateTest, VariablesHaveNamesThatAreNoBuiltins) {
  EXPECT_TRUE(IsVariableName("a"));
  EXPECT_TRUE(IsVariableName("_A-9"));
  for (absl::string_view name : {"", "9a", "-a", "a b", "a.b", "é", "uuid", "numeric"}) {
    EXPECT_FALSE(IsVariableName(name)) << name;
  }
  EXPECT_TRUE(IsBuiltinName("date"));
  EXPECT_FALSE(IsBuiltinName("dates"));
}

TEST_F(TemplateTest, ATemplateIsSharedCheaplyByCopies) {
  ASSERT_OK_AND_ASSIGN(Template parsed, Template::Parse("{{ a }}"));
  const Template copy = parsed;
  parsed = Template();
  EXPECT_THAT(copy.variables(), ElementsAre("a"));
  EXPECT_THAT(parsed.variables(), IsEmpty());
}

}  // namespace
}  // namespace picket
