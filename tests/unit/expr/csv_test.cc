#include "common/expr/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/expr/limits.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(CsvTest, TheFirstRecordIsTheHeader) {
  ASSERT_OK_AND_ASSIGN(const CsvTable table, ReadCsv("sku,price\nchair,20\ntable, 99.5 \n"));
  EXPECT_THAT(table.header, ElementsAre("sku", "price"));
  EXPECT_THAT(table.rows, ElementsAre(ElementsAre("chair", "20"), ElementsAre("table", " 99.5 ")));
  EXPECT_THAT(table.lines, ElementsAre(2, 3));
}

TEST(CsvTest, QuotedFieldsHoldCommasQuotesAndLineEnds) {
  ASSERT_OK_AND_ASSIGN(const CsvTable table,
                       ReadCsv("\"a\",b\r\n\"x,\"\"y\"\"\",\"1\r\n2\"\r\n\"\",z"));
  EXPECT_THAT(table.header, ElementsAre("a", "b"));
  EXPECT_THAT(table.rows, ElementsAre(ElementsAre("x,\"y\"", "1\r\n2"), ElementsAre("", "z")));
  EXPECT_THAT(table.lines, ElementsAre(2, 4));
}

TEST(CsvTest, AByteOrderMarkAndEmptyLinesAreSkipped) {
  ASSERT_OK_AND_ASSIGN(const CsvTable table, ReadCsv("\xEF\xBB\xBF"
                                                     "a\n\n1\r\n\r\n\"\"\n\n"));
  EXPECT_THAT(table.header, ElementsAre("a"));
  EXPECT_THAT(table.rows, ElementsAre(ElementsAre("1"), ElementsAre("")));
  EXPECT_THAT(table.lines, ElementsAre(3, 5));
}

TEST(CsvTest, ATrailingCommaIsAnEmptyField) {
  ASSERT_OK_AND_ASSIGN(const CsvTable table, ReadCsv("a,b\n1,\n,2\n,"));
  EXPECT_THAT(table.rows,
              ElementsAre(ElementsAre("1", ""), ElementsAre("", "2"), ElementsAre("", "")));
}

TEST(CsvTest, AHeaderAloneIsATableWithoutRows) {
  ASSERT_OK_AND_ASSIGN(const CsvTable table, ReadCsv("a,b"));
  EXPECT_THAT(table.rows, IsEmpty());
}

TEST(CsvTest, MistakesNameTheirLine) {
  const struct {
    std::string text;
    size_t line;
    std::string what;
  } kCases[] = {
      {"", 1, "expected a header"},
      {"\n\n", 1, "expected a header"},
      {"a,b\n1,2\n3\n", 3, "expected 2 fields, as in the header, but found 1"},
      {"a\n\"x\ny\"\n1,2", 4, "found 2"},
      {"a,,c\n", 1, "column 2"},
      {"\na,b,a\n", 2, "'a' twice"},
      {"a\nx\"y\n", 2, "within a field"},
      {"a\n\"x\"y\n", 2, "after a closing"},
      {"a\n1\n\"x\n\n", 3, "no closing"},
      {"a\nx\ry\n", 2, "carriage return"},
      {"a\n\"x\"\ry\n", 2, "after a closing"},
      {std::string("a\nx\0y\n", 6), 2, "NUL"},
      {std::string("a\n\"x\0y\"\n", 8), 2, "NUL"},
      {"a\n\xff\n", 2, "UTF-8"},
      {"a\n\"\xff\n\"", 3, "UTF-8"},
  };
  for (const auto& c : kCases) {
    size_t line = 0;
    EXPECT_THAT(
        ReadCsv(c.text, {}, &line),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 testing::AllOf(HasSubstr(absl::StrCat("line ", c.line, ": ")), HasSubstr(c.what))))
        << c.text;
    EXPECT_EQ(line, c.line) << c.text;
  }
}

TEST(CsvTest, BytesRowsAndColumnsAreBounded) {
  EXPECT_OK(ReadCsv("a\n1\n2\n", {.bytes = 6, .rows = 2}));
  EXPECT_THAT(ReadCsv("a\n1\n2\n", {.bytes = 5}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("5 bytes")));
  size_t line = 0;
  EXPECT_THAT(ReadCsv("a\n1\n2\n", {.rows = 1}, &line),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("1 rows")));
  EXPECT_EQ(line, 3u);
  const std::string wide(DefaultExprLimits().csv_columns, ',');
  EXPECT_THAT(ReadCsv(wide),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("1000 columns")));
}

}  // namespace
}  // namespace picket
