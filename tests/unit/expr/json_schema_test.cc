#include "common/expr/json_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/expr/json_schema_node.h"
#include "common/expr/limits.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr auto k7 = JsonSchema::Draft::k7;
constexpr auto k2020 = JsonSchema::Draft::k2020_12;

Json Read(absl::string_view text) {
  auto value = ParseJson(text);
  EXPECT_TRUE(value.ok()) << text << ": " << value.status();
  return value.ok() ? *std::move(value) : Json();
}

// "valid", or the first error as "instance keyword", or the status.
std::string Judge(absl::string_view schema, absl::string_view instance,
                  JsonSchema::Draft draft = k2020) {
  const auto compiled = JsonSchema::Compile(Read(schema), draft);
  if (!compiled.ok()) return compiled.status().ToString();
  const auto result = (*compiled)->Validate(Read(instance));
  if (!result.ok()) return result.status().ToString();
  if (result->valid) return "valid";
  return absl::StrCat(result->errors[0].instance, " ", result->errors[0].keyword);
}

TEST(JsonSchemaTest, TypesKnowThatIntegersAreNumbers) {
  EXPECT_EQ(Judge(R"({"type":"integer"})", "1.0"), "valid");
  EXPECT_EQ(Judge(R"({"type":"integer"})", "1.5"), " /type");
  EXPECT_EQ(Judge(R"({"type":"number"})", "1"), "valid");
  EXPECT_EQ(Judge(R"({"type":["string","null"]})", "null"), "valid");
  EXPECT_EQ(Judge(R"({"type":["string","null"]})", "false"), " /type");
}

TEST(JsonSchemaTest, AnErrorNamesTheInstanceTheKeywordAndBothSides) {
  ASSERT_OK_AND_ASSIGN(
      const auto schema,
      JsonSchema::Compile(Read(R"({"properties":{"a/b":{"items":{"maximum":3}}}})")));
  ASSERT_OK_AND_ASSIGN(const auto result, schema->Validate(Read(R"({"a/b":[1,9]})")));
  ASSERT_EQ(result.errors.size(), 1u);
  EXPECT_EQ(result.errors[0].instance, "/a~1b/1");
  EXPECT_EQ(result.errors[0].keyword, "/properties/a~1b/items/maximum");
  EXPECT_EQ(result.errors[0].message, "expected a number of at most 3, but found 9");
}

TEST(JsonSchemaTest, OnlyTheFirstFewErrorsAreTold) {
  std::string instance = "[";
  for (int i = 0; i < 1000; ++i) instance += "\"x\",";
  instance.back() = ']';
  ASSERT_OK_AND_ASSIGN(const auto schema,
                       JsonSchema::Compile(Read(R"({"items":{"type":"integer"}})")));
  ASSERT_OK_AND_ASSIGN(const auto result, schema->Validate(Read(instance)));
  EXPECT_FALSE(result.valid);
  EXPECT_EQ(result.errors.size(), DefaultExprLimits().schema_errors);
}

TEST(JsonSchemaTest, ALongValueIsCutInMessages) {
  ASSERT_OK_AND_ASSIGN(const auto schema, JsonSchema::Compile(Read(R"({"type":"null"})")));
  ASSERT_OK_AND_ASSIGN(const auto result, schema->Validate(Json(std::string(100'000, 'x'))));
  EXPECT_LT(result.errors[0].message.size(), 200u);
}

TEST(JsonSchemaTest, ObjectsAreHeldToTheirProperties) {
  constexpr absl::string_view kSchema =
      R"({"required":["a"],"properties":{"a":{"const":1}},
          "patternProperties":{"^x-":{"type":"string"}},"additionalProperties":false,
          "propertyNames":{"maxLength":5},"maxProperties":3})";
  EXPECT_EQ(Judge(kSchema, R"({"a":1,"x-y":"z"})"), "valid");
  EXPECT_EQ(Judge(kSchema, R"({"x-y":"z"})"), " /required");
  EXPECT_EQ(Judge(kSchema, R"({"a":2})"), "/a /properties/a/const");
  EXPECT_EQ(Judge(kSchema, R"({"a":1,"x-y":1})"), "/x-y /patternProperties/^x-/type");
  EXPECT_EQ(Judge(kSchema, R"({"a":1,"b":1})"), "/b /additionalProperties");
  EXPECT_EQ(Judge(kSchema, R"({"a":1,"x-long":"z"})"), "/x-long /propertyNames");
  EXPECT_EQ(Judge(kSchema, "3"), "valid");
}

TEST(JsonSchemaTest, ArraysAreHeldToTheirItems) {
  EXPECT_EQ(
      Judge(R"({"prefixItems":[{"type":"string"}],"items":{"type":"null"}})", R"(["a",null,1])"),
      "/2 /items/type");
  EXPECT_EQ(Judge(R"({"uniqueItems":true})", R"([{"a":1,"b":2},{"b":2.0,"a":1}])"),
            " /uniqueItems");
  EXPECT_EQ(Judge(R"({"uniqueItems":true})", R"([1,true,"1",[1],{"1":1}])"), "valid");
  EXPECT_EQ(Judge(R"({"contains":{"const":1},"minContains":2,"maxContains":3})", "[1,2]"),
            " /minContains");
  EXPECT_EQ(Judge(R"({"contains":{"const":1},"maxContains":1})", "[1,1]"), " /maxContains");
  EXPECT_EQ(Judge(R"({"contains":{"const":1},"minContains":0})", "[]"), "valid");
}

TEST(JsonSchemaTest, DraftSevenHasItsOwnArraysAndDependencies) {
  constexpr absl::string_view kTuple =
      R"({"additionalItems":false,"items":[{"type":"string"},true]})";
  EXPECT_EQ(Judge(kTuple, R"(["a",1])", k7), "valid");
  EXPECT_EQ(Judge(kTuple, R"(["a",1,2])", k7), "/2 /additionalItems");
  EXPECT_EQ(Judge(R"({"additionalItems":false,"items":{}})", "[1,2]", k7), "valid");
  EXPECT_EQ(Judge(R"({"additionalItems":false,"items":[]})", "[1]", k7), "/0 /additionalItems");
  EXPECT_EQ(Judge(R"({"dependencies":{"a":["b"],"c":{"required":["d"]}}})", R"({"a":1})", k7),
            " /dependencies/a");
  EXPECT_EQ(Judge(R"({"dependencies":{"a":["b"],"c":{"required":["d"]}}})", R"({"c":1})", k7),
            " /dependencies/c/required");
  EXPECT_EQ(Judge(R"({"dependentRequired":{"a":["b"]}})", R"({"a":1})"), " /dependentRequired/a");
}

TEST(JsonSchemaTest, InDraftSevenWhatStandsBesideARefIsIgnored) {
  constexpr absl::string_view kSchema =
      R"({"definitions":{"s":{"type":"string"}},"properties":{"a":{"$ref":"#/definitions/s",
          "maxLength":1}}})";
  EXPECT_EQ(Judge(kSchema, R"({"a":"long"})", k7), "valid");
  EXPECT_EQ(Judge(kSchema, R"({"a":"long"})", k2020), "/a /properties/a/maxLength");
  EXPECT_EQ(Judge(kSchema, R"({"a":1})", k7), "/a /definitions/s/type");
}

TEST(JsonSchemaTest, LogicCombinesSchemas) {
  EXPECT_EQ(Judge(R"({"anyOf":[{"type":"string"},{"minimum":5}]})", "3"), " /anyOf");
  EXPECT_EQ(Judge(R"({"oneOf":[{"type":"number"},{"minimum":5}]})", "7"), " /oneOf");
  EXPECT_EQ(Judge(R"({"oneOf":[{"type":"number"},{"minimum":5}]})", "3"), "valid");
  EXPECT_EQ(Judge(R"({"not":{"type":"string"}})", "\"a\""), " /not");
  EXPECT_EQ(Judge(R"({"if":{"minimum":5},"then":{"multipleOf":2},"else":{"const":1}})", "7"),
            " /then/multipleOf");
  EXPECT_EQ(Judge(R"({"if":{"minimum":5},"then":{"multipleOf":2},"else":{"const":1}})", "2"),
            " /else/const");
  EXPECT_EQ(Judge("false", "1"), " ");
  EXPECT_EQ(Judge("true", "1"), "valid");
}

TEST(JsonSchemaTest, ReferencesReachAnchorsIdsAndEscapedPointers) {
  EXPECT_EQ(Judge(R"({"$ref":"#n","$defs":{"x":{"$anchor":"n","type":"null"}}})", "1"),
            " /$defs/x/type");
  EXPECT_EQ(Judge(R"({"$id":"http://e.org/a/b.json","$ref":"c.json#/$defs/y",
                      "$defs":{"x":{"$id":"c.json","$defs":{"y":{"type":"null"}}}}})",
                  "1"),
            " /$defs/x/$defs/y/type");
  EXPECT_EQ(Judge(R"({"$ref":"#/$defs/a~1b%25","$defs":{"a/b%":{"type":"null"}}})", "1"),
            " /$defs/a~1b%/type");
}

TEST(JsonSchemaTest, RecursiveSchemasDescendWithTheInstance) {
  constexpr absl::string_view kTree =
      R"({"type":"object","properties":{"kids":{"items":{"$ref":"#"}}}})";
  EXPECT_EQ(Judge(kTree, R"({"kids":[{"kids":[{}]}]})"), "valid");
  EXPECT_EQ(Judge(kTree, R"({"kids":[{"kids":[1]}]})"), "/kids/0/kids/0 /type");
}

TEST(JsonSchemaTest, MultiplesAreExactInDecimal) {
  const auto multiple = [](absl::string_view value, absl::string_view divisor) {
    return schema::IsMultipleOf(Read(value), Read(divisor));
  };
  EXPECT_TRUE(multiple("0.0075", "0.0001"));
  EXPECT_FALSE(multiple("0.00751", "0.0001"));
  EXPECT_TRUE(multiple("19.99", "0.01"));
  EXPECT_TRUE(multiple("1e308", "0.5"));
  EXPECT_FALSE(multiple("1e308", "0.123456789"));
  EXPECT_TRUE(multiple("-9", "3"));
  EXPECT_FALSE(multiple("18446744073709551615", "2"));
  EXPECT_TRUE(multiple("18446744073709551615", "5"));
  EXPECT_TRUE(multiple("0", "1e300"));
  EXPECT_FALSE(multiple("1e-300", "1e300"));
}

TEST(JsonSchemaTest, LengthsAreInCodePointsAndPatternsAreUnanchored) {
  EXPECT_EQ(Judge(R"({"maxLength":2})", "\"é😀\""), "valid");
  EXPECT_EQ(Judge(R"({"minLength":2.0})", "\"😀\""), " /minLength");
  EXPECT_EQ(Judge(R"({"pattern":"b+"})", "\"abc\""), "valid");
  EXPECT_EQ(Judge(R"({"pattern":"^\\u0061$"})", "\"a\""), "valid");
  EXPECT_EQ(Judge(R"({"pattern":"^b"})", "\"abc\""), " /pattern");
}

TEST(JsonSchemaTest, AnnotationsNeverFail) {
  EXPECT_EQ(Judge(R"({"format":"email","title":"t","default":1,"examples":[2],"deprecated":true,
                      "$comment":"c","contentEncoding":"base64","contentSchema":{"type":"null"}})",
                  "\"not an address\""),
            "valid");
}

TEST(JsonSchemaTest, MistakesInASchemaAreErrorsThatNameThePlace) {
  const struct {
    absl::string_view schema;
    absl::string_view at;
    absl::string_view what;
  } kCases[] = {
      {R"({"properties":{"a":{"itmes":{}}}})", "'/properties/a/itmes'", "no keyword"},
      {R"({"minlength":1})", "'/minlength'", "no keyword"},
      {R"({"additionalItems":false})", "'/additionalItems'", "no keyword of draft 2020-12"},
      {R"({"$schema":"http://json-schema.org/draft-04/schema#"})", "'/$schema'", "draft-04"},
      {R"({"$schema":7})", "'/$schema'", "expected"},
      {R"({"items":{"$schema":"http://json-schema.org/draft-07/schema#"}})", "'/items/$schema'",
       "cannot mix"},
      {R"({"unevaluatedProperties":false})", "'/unevaluatedProperties'", "not supported"},
      {R"({"allOf":[{"$dynamicRef":"#a"}]})", "'/allOf/0/$dynamicRef'", "not supported"},
      {R"({"$ref":"http://example.com/s.json"})", "'/$ref'", "leaves this document"},
      {R"({"$ref":"#/$defs/absent"})", "'/$ref'", "refers to no schema"},
      {R"({"$ref":"#absent"})", "'/$ref'", "refers to no schema"},
      {R"x({"pattern":"(?=a)"})x", "'/pattern'", "RE2"},
      {R"({"patternProperties":{"(":{}}})", "'/patternProperties/('", "RE2"},
      {R"({"type":"strin"})", "'/type'", "\"strin\""},
      {R"({"type":[]})", "'/type'", "at least one"},
      {R"({"minLength":-1})", "'/minLength'", "whole number"},
      {R"({"maxItems":1.5})", "'/maxItems'", "whole number"},
      {R"({"maximum":"1"})", "'/maximum'", "number"},
      {R"({"multipleOf":0})", "'/multipleOf'", "above 0"},
      {R"({"required":true})", "'/required'", "array of strings"},
      {R"({"required":["a","a"]})", "'/required'", "twice"},
      {R"({"enum":1})", "'/enum'", "array"},
      {R"({"allOf":[]})", "'/allOf'", "at least one"},
      {R"({"properties":[]})", "'/properties'", "object"},
      {R"({"items":[{}]})", "'/items'", "prefixItems"},
      {R"({"not":1})", "'/not'", "object, true or false"},
      {R"({"uniqueItems":1})", "'/uniqueItems'", "true or false"},
      {R"({"title":1})", "'/title'", "string"},
      {R"({"$defs":{"a":{"$anchor":"x"},"b":{"$anchor":"x"}}})", "'/$defs/b'", "twice"},
      {"[]", "''", "object, true or false"},
  };
  for (const auto& c : kCases) {
    EXPECT_THAT(
        JsonSchema::Compile(Read(c.schema)),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 AllOf(HasSubstr(absl::StrCat("at ", c.at, ":")), HasSubstr(std::string(c.what)))))
        << c.schema;
  }
}

TEST(JsonSchemaTest, TheDraftOfTheSchemaStandsOverTheDefault) {
  constexpr absl::string_view kSeven =
      R"({"$schema":"http://json-schema.org/draft-07/schema","items":[{"type":"null"}]})";
  EXPECT_EQ(Judge(kSeven, "[1]", k2020), "/0 /items/0/type");
  constexpr absl::string_view k2020Schema =
      R"({"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[false]})";
  EXPECT_EQ(Judge(k2020Schema, "[1]", k7), "/0 /prefixItems/0");
}

TEST(JsonSchemaTest, ASchemaThatNeverEndsIsNeitherValidNorInvalid) {
  for (absl::string_view schema :
       {R"({"$ref":"#"})", R"({"not":{"$ref":"#"}})", R"({"anyOf":[{"allOf":[{"$ref":"#"}]}]})",
        R"({"if":{"$ref":"#"},"then":true})"}) {
    ASSERT_OK_AND_ASSIGN(const auto compiled, JsonSchema::Compile(Read(schema)));
    EXPECT_THAT(compiled->Validate(Json(1)),
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("64 levels")))
        << schema;
  }
}

TEST(JsonSchemaTest, StepsAreBounded) {
  ASSERT_OK_AND_ASSIGN(const auto schema,
                       JsonSchema::Compile(Read(R"({"items":{"type":"integer"}})")));
  EXPECT_OK(schema->Validate(Read("[1,2,3]"), 4));
  EXPECT_THAT(schema->Validate(Read("[1,2,3]"), 3),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("3 steps")));
}

TEST(JsonSchemaTest, ASchemaThatMultipliesIsStopped) {
  std::string schema = R"({"$defs":{"d0":{"type":"integer"})";
  for (int i = 1; i <= 30; ++i) {
    absl::StrAppend(&schema, ",\"d", i, "\":{\"allOf\":[{\"$ref\":\"#/$defs/d", i - 1,
                    "\"},{\"$ref\":\"#/$defs/d", i - 1, "\"}]}");
  }
  schema += R"(},"not":{"not":{"$ref":"#/$defs/d30"}}})";
  ASSERT_OK_AND_ASSIGN(const auto compiled, JsonSchema::Compile(Read(schema)));
  EXPECT_THAT(compiled->Validate(Json(1), 100'000), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(JsonSchemaTest, ComparingCountsAsSteps) {
  std::string array = "[";
  for (int i = 0; i < 1000; ++i) array += "0,";
  array.back() = ']';
  for (const std::string& schema :
       {absl::StrCat("{\"const\":", array, "}"), absl::StrCat("{\"enum\":[", array, "]}"),
        std::string(R"({"uniqueItems":true})")}) {
    ASSERT_OK_AND_ASSIGN(const auto compiled, JsonSchema::Compile(Read(schema)));
    const std::string instance = schema[2] == 'u' ? absl::StrCat("[", array, "]") : array;
    EXPECT_THAT(compiled->Validate(Read(instance), 500),
                StatusIs(absl::StatusCode::kResourceExhausted))
        << schema.substr(0, 20);
  }
}

TEST(JsonSchemaTest, ASchemaTooDeepIsRefused) {
  Json schema = true;
  for (int i = 0; i < 70; ++i) schema = Json::object({{"not", schema}});
  EXPECT_THAT(JsonSchema::Compile(schema),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("64 levels")));
}

}  // namespace
}  // namespace picket
