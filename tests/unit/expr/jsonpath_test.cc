#include "common/expr/jsonpath.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/expr/limits.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::HasSubstr;

constexpr absl::string_view kShop = R"({
  "cart": {"id": "c-1", "open": true},
  "items": [
    {"sku": "chair", "price": 20, "tags": ["wood", "red"]},
    {"sku": "table", "price": 99.5, "tags": []},
    {"sku": "lamp", "tags": ["red"]}
  ],
  "limit": 50, "pattern": "ta.*", "nothing": null, "odd 'name'\n": {"\u0001": 7}
})";

Json Document(absl::string_view text = kShop) {
  auto value = ParseJson(text);
  EXPECT_TRUE(value.ok()) << value.status();
  return value.ok() ? *std::move(value) : Json();
}

// The selected nodes as one JSON array; an error's text otherwise.
std::string Select(absl::string_view query, absl::string_view text = kShop) {
  const auto path = JsonPath::Compile(query);
  if (!path.ok()) return path.status().ToString();
  const Json document = Document(text);
  const auto nodes = (*path)->Evaluate(document);
  if (!nodes.ok()) return nodes.status().ToString();
  Json out = Json::array();
  for (const Json* node : *nodes) out.push_back(*node);
  return ToText(out);
}

std::string Paths(absl::string_view query, absl::string_view text = kShop) {
  const auto path = JsonPath::Compile(query);
  if (!path.ok()) return path.status().ToString();
  const Json document = Document(text);
  const auto nodes = (*path)->EvaluateLocated(document);
  if (!nodes.ok()) return nodes.status().ToString();
  std::string out;
  for (const auto& node : *nodes) absl::StrAppend(&out, out.empty() ? "" : " ", node.path);
  return out;
}

TEST(JsonPathTest, NamesAndIndicesSelectOneNodeOrNone) {
  EXPECT_EQ(Select("$.cart.id"), R"(["c-1"])");
  EXPECT_EQ(Select("$['cart'][\"open\"]"), "[true]");
  EXPECT_EQ(Select("$.items[-1].sku"), R"(["lamp"])");
  EXPECT_EQ(Select("$.items[3]"), "[]");
  EXPECT_EQ(Select("$.items[-4]"), "[]");
  EXPECT_EQ(Select("$.cart[0]"), "[]");
  EXPECT_EQ(Select("$.items.sku"), "[]");
  EXPECT_EQ(Select("$.nothing"), "[null]");
}

TEST(JsonPathTest, WildcardsSlicesAndDescendantsKeepTheirOrder) {
  EXPECT_EQ(Select("$.items[*].sku"), R"(["chair","table","lamp"])");
  EXPECT_EQ(Select("$.items[1:].sku"), R"(["table","lamp"])");
  EXPECT_EQ(Select("$.items[::-2].sku"), R"(["lamp","chair"])");
  EXPECT_EQ(Select("$.items[0:2:0]"), "[]");
  EXPECT_EQ(Select("$.items[-9007199254740991:9007199254740991:9007199254740991].sku"),
            R"(["chair"])");
  EXPECT_EQ(Select("$..tags[0]"), R"(["wood","red"])");
  EXPECT_EQ(Select("$.items[0, 0, 'x', 2].sku"), R"(["chair","chair","lamp"])");
  EXPECT_EQ(Select("$..[?@.open].id"), R"(["c-1"])");
}

TEST(JsonPathTest, FiltersCompareAndCombine) {
  EXPECT_EQ(Select("$.items[?@.price < $.limit].sku"), R"(["chair"])");
  EXPECT_EQ(Select("$.items[?@.price >= 20 && !(@.sku == 'chair')].sku"), R"(["table"])");
  EXPECT_EQ(Select("$.items[?@.price].sku"), R"(["chair","table"])");
  EXPECT_EQ(Select("$.items[?!@.price].sku"), R"(["lamp"])");
  EXPECT_EQ(Select("$.items[?@.price == @.absent].sku"), R"(["lamp"])");
  EXPECT_EQ(Select("$.items[?@.tags == ['red']].sku").substr(0, 16), "INVALID_ARGUMENT");
  EXPECT_EQ(Select("$.items[?@.tags == $.items[2].tags].sku"), R"(["lamp"])");
  EXPECT_EQ(Select("$.items[?@.tags[?@ == 'wood']].sku"), R"(["chair"])");
  EXPECT_EQ(Select("$[?@ == null]"), "[null]");
  EXPECT_EQ(Select("$.items[?@.price == 2e1].sku"), R"(["chair"])");
  EXPECT_EQ(Select("$.items[?@.sku > 'lamp' || @.sku <= 'chair'].sku"), R"(["chair","table"])");
}

TEST(JsonPathTest, FunctionsYieldValues) {
  EXPECT_EQ(Select("$.items[?length(@.sku) == 5].sku"), R"(["chair","table"])");
  EXPECT_EQ(Select("$.items[?count(@.tags[*]) > 1].sku"), R"(["chair"])");
  EXPECT_EQ(Select("$.items[?value(@..tags[0]) == 'red'].sku"), R"(["lamp"])");
  EXPECT_EQ(Select("$[?length(@) == 3]", R"(["aé😀", [1,2,3], {"a":1}, 3])"), R"(["aé😀",[1,2,3]])");
  EXPECT_EQ(Select("$[?length(@.a) == length(@.b)]", R"([{"x":0}])"), R"([{"x":0}])");
}

TEST(JsonPathTest, MatchIsForTheWholeAndSearchForAPart) {
  EXPECT_EQ(Select("$.items[?match(@.sku, '[a-l]a?.*')].sku"), R"(["chair","lamp"])");
  EXPECT_EQ(Select("$.items[?search(@.sku, 'a.[lr]')].sku"), R"(["chair","table"])");
  EXPECT_EQ(Select("$.items[?match(@.sku, $.pattern)].sku"), R"(["table"])");
  EXPECT_EQ(Select("$.items[?match(@.sku, $.limit)].sku"), "[]");
  EXPECT_EQ(Select("$[?match('x', @)]", R"(["[", "x", "\\d"])"), R"(["x"])");
}

TEST(JsonPathTest, ALiteralPatternThatIsNoIRegexpIsAnError) {
  EXPECT_THAT(JsonPath::Compile("$[?match(@.a, '\\\\d+')]"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("character 15")));
}

TEST(JsonPathTest, SingularMeansNamesAndIndicesOnly) {
  const auto singular = [](absl::string_view query) {
    const auto path = JsonPath::Compile(query);
    return path.ok() && (*path)->singular();
  };
  EXPECT_TRUE(singular("$"));
  EXPECT_TRUE(singular("$.a['b'][-1]"));
  EXPECT_FALSE(singular("$.a[*]"));
  EXPECT_FALSE(singular("$.a[0,1]"));
  EXPECT_FALSE(singular("$.a[0:1]"));
  EXPECT_FALSE(singular("$..a"));
  EXPECT_FALSE(singular("$.a[?@]"));
}

TEST(JsonPathTest, NormalizedPathsAreCanonical) {
  EXPECT_EQ(Paths("$.items[-1].tags[*]"), "$['items'][2]['tags'][0]");
  EXPECT_EQ(Paths("$"), "$");
  EXPECT_EQ(Paths("$[\"odd 'name'\\n\"].*"), "$['odd \\'name\\'\\n']['\\u0001']");
  EXPECT_EQ(Paths("$..[?@ == 'red']"), "$['items'][0]['tags'][1] $['items'][2]['tags'][0]");
}

TEST(JsonPathTest, ErrorsNameTheCharacterAndWhatWasExpected) {
  const struct {
    absl::string_view query;
    absl::string_view where;
    absl::string_view expected;
  } kCases[] = {
      {"", "character 1:", "'$'"},
      {"cart", "character 1:", "'$'"},
      {" $", "character 1:", "'$'"},
      {"$ ", "character 2:", "end of the query"},
      {"$.", "character 3:", "a member name or '*'"},
      {"$. a", "character 3:", "a member name or '*'"},
      {"$.é.1", "character 5:", "a member name"},
      {"$[", "character 3:", "an index"},
      {"$[01]", "character 3:", "leading zeros"},
      {"$[-0]", "character 3:", "-0"},
      {"$[9007199254740992]", "character 3:", "2^53 - 1"},
      {"$['a]", "character 6:", "a closing '"},
      {"$['\\ud800']", "character 10:", "low surrogate"},
      {"$['\\udc00']", "character 4:", "high surrogate"},
      {"$[\"\\'\"]", "character 5:", "after '\\'"},
      {"$['a' 'b']", "character 7:", "',' or ']'"},
      {"$[?@.a = 1]", "character 8:", "',' or ']'"},
      {"$[?@.* == 1]", "character 4:", "names and indices only"},
      {"$[?1]", "character 5:", "a comparison"},
      {"$[?!1]", "character 5:", "a query"},
      {"$[?length(@.a)]", "character 4:", "must be compared"},
      {"$[?match(@.a, 'a') == true]", "character 4:", "cannot be compared"},
      {"$[?count(1) == 1]", "character 10:", "a query"},
      {"$[?length(@.*) == 1]", "character 11:", "names and indices only"},
      {"$[?length(@, @) == 1]", "character 4:", "1 argument"},
      {"$[?size(@) == 1]", "character 4:", "length, count, match, search or value"},
      {"$[?length (@) == 1]", "character 4:", "a function"},
      {"$[?@.a == 01]", "character 11:", "leading zeros"},
      {"$[?@.a == 1.]", "character 13:", "a digit"},
      {"$[?@.a == 1e999]", "character 11:", "double"},
      {"$[?(@.a]", "character 8:", "')'"},
      {"$\xff", "character 1:", "UTF-8"},
  };
  for (const auto& c : kCases) {
    EXPECT_THAT(JsonPath::Compile(c.query),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         testing::AllOf(HasSubstr(std::string(c.where)),
                                        HasSubstr(std::string(c.expected)))))
        << c.query;
  }
}

TEST(JsonPathTest, TheErrorOffsetIsInBytes) {
  size_t offset = 0;
  EXPECT_THAT(JsonPath::Compile("$.é.1", &offset), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(offset, 5u);
}

TEST(JsonPathTest, TheQuerysSizeAndNestingAreBounded) {
  const std::string longest = absl::StrCat("$.", std::string(4094, 'a'));
  EXPECT_OK(JsonPath::Compile(longest));
  EXPECT_THAT(JsonPath::Compile(longest + "a"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("4096")));
  const int most = DefaultExprLimits().jsonpath_nesting;
  const auto nested = [](int levels) {
    return absl::StrCat("$[?", std::string(levels, '('), "@", std::string(levels, ')'), "]");
  };
  EXPECT_OK(JsonPath::Compile(nested(most - 2)));
  EXPECT_THAT(JsonPath::Compile(nested(most)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nested more than 32")));
  std::string filters = "$";
  for (int i = 0; i < 1000; ++i) filters += "[?@";
  EXPECT_THAT(JsonPath::Compile(filters),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nested more than")));
  std::string calls = "$[?";
  for (int i = 0; i < 500; ++i) calls += "length(";
  EXPECT_THAT(JsonPath::Compile(calls),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nested more than")));
}

TEST(JsonPathTest, NodesVisitedAreBounded) {
  const Json document = Document("[[[[1,2],[3]]],[[[4]]]]");
  ASSERT_OK_AND_ASSIGN(const auto path, JsonPath::Compile("$..*"));
  EXPECT_OK(path->Evaluate(document, 100));
  EXPECT_THAT(path->Evaluate(document, 10),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("10 nodes")));
  EXPECT_THAT(path->EvaluateLocated(document, 10), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(JsonPathTest, AQueryThatMultipliesIsStoppedAtTheDefaultBound) {
  std::string text = "1";
  for (int i = 0; i < 50; ++i) text = absl::StrCat("[", text, ",0]");
  const Json document = Document(text);
  ASSERT_OK_AND_ASSIGN(const auto path, JsonPath::Compile("$..*..*..*..*..*"));
  EXPECT_THAT(path->Evaluate(document), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(JsonPathTest, ComparingMatchingAndNegatingCannotEscapeTheBound) {
  std::string text = "[";
  for (int i = 0; i < 2000; ++i) text += "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",";
  text.back() = ']';
  const Json document = Document(text);
  for (absl::string_view query :
       {"$[?$ == $]", "$[?!($ != $)]", "$[?count($[*]) == 2000]", "$[?!match(@, $[0])]"}) {
    ASSERT_OK_AND_ASSIGN(const auto path, JsonPath::Compile(query));
    EXPECT_THAT(path->Evaluate(document, 2000), StatusIs(absl::StatusCode::kResourceExhausted))
        << query;
  }
}

}  // namespace
}  // namespace picket
