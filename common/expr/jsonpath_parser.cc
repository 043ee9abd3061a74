#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/expr/iregexp.h"
#include "common/expr/jsonpath_query.h"
#include "common/expr/limits.h"
#include "common/policy/limits.h"

namespace picket::jsonpath {
namespace {

constexpr int64_t kIntegerMost = (int64_t{1} << 53) - 1;  // I-JSON, RFC 7493

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    *out += static_cast<char>(code);
  } else if (code < 0x800) {
    *out += static_cast<char>(0xC0 | (code >> 6));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *out += static_cast<char>(0xE0 | (code >> 12));
    *out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    *out += static_cast<char>(0xF0 | (code >> 18));
    *out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    *out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

struct FunctionRow {
  absl::string_view name;
  Function function;
  size_t arguments;
};
constexpr FunctionRow kFunctions[] = {
    {"length", Function::kLength, 1}, {"count", Function::kCount, 1},
    {"match", Function::kMatch, 2},   {"search", Function::kSearch, 2},
    {"value", Function::kValue, 1},
};

bool ReturnsValue(Function function) {
  return function != Function::kMatch && function != Function::kSearch;
}
bool TakesNodes(Function function) {
  return function == Function::kCount || function == Function::kValue;
}

// Recursive descent over the grammar of RFC 9535, appendix A, one method a rule.
class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  absl::StatusOr<Query> Run() {
    if (!IsValidUtf8(text_)) return Fail("valid UTF-8");
    if (!At('$')) return Fail("'$' at the start of the query");
    ABSL_ASSIGN_OR_RETURN(Query query, ParseQuery());
    if (at_ != text_.size()) return Fail("'.', '..', '[' or the end of the query");
    return query;
  }

  size_t error_offset() const { return error_offset_; }

 private:
  // What stands at the current position, for messages.
  std::string Found() const {
    if (at_ >= text_.size()) return "the end";
    size_t length = 1;
    while (at_ + length < text_.size() && (text_[at_ + length] & 0xC0) == 0x80) ++length;
    if (length == 1 && !absl::ascii_isprint(text_[at_])) return "a control character";
    return absl::StrCat("'", text_.substr(at_, length), "'");
  }

  absl::Status Fail(absl::string_view expected) {
    return FailAt(at_, absl::StrCat("expected ", expected, " but found ", Found()));
  }

  absl::Status FailAt(size_t offset, absl::string_view what) {
    error_offset_ = offset;
    return absl::InvalidArgumentError(absl::StrCat(
        "not a JSONPath query (RFC 9535): at character ",
        CountCodePoints(text_.substr(0, offset)) + 1, ": ", what));
  }

  bool At(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool AtText(absl::string_view s) const { return absl::StartsWith(text_.substr(at_), s); }
  bool AtDigit() const { return at_ < text_.size() && absl::ascii_isdigit(text_[at_]); }
  bool Take(absl::string_view s) {
    if (!AtText(s)) return false;
    at_ += s.size();
    return true;
  }
  void Blanks() {
    while (At(' ') || At('\t') || At('\n') || At('\r')) ++at_;
  }

  // Bounds the recursion; every rule that can contain itself holds one.
  class Nesting {
   public:
    explicit Nesting(Parser* parser) : parser_(parser) { ++parser_->nesting_; }
    ~Nesting() { --parser_->nesting_; }
    absl::Status Check() const {
      const int most = DefaultExprLimits().jsonpath_nesting;
      if (parser_->nesting_ <= most) return absl::OkStatus();
      return parser_->FailAt(parser_->at_, absl::StrCat("nested more than ", most, " levels deep"));
    }

   private:
    Parser* parser_;
  };

  // `at_` is at $ or @.
  absl::StatusOr<Query> ParseQuery() {
    Query query;
    query.relative = text_[at_++] == '@';
    while (true) {
      const size_t before = at_;
      Blanks();
      if (!At('.') && !At('[')) {
        at_ = before;  // blanks belong to a segment or to the surrounding rule
        return query;
      }
      ABSL_ASSIGN_OR_RETURN(Segment segment, ParseSegment());
      if (segment.descendant || segment.selectors.size() != 1 ||
          (segment.selectors[0].kind != Selector::Kind::kName &&
           segment.selectors[0].kind != Selector::Kind::kIndex)) {
        query.singular = false;
      }
      query.segments.push_back(std::move(segment));
    }
  }

  absl::StatusOr<Segment> ParseSegment() {
    Segment segment;
    if (At('[')) {
      ABSL_RETURN_IF_ERROR(ParseBracketed(&segment));
      return segment;
    }
    ++at_;
    if (At('.')) {
      ++at_;
      segment.descendant = true;
      if (At('[')) {
        ABSL_RETURN_IF_ERROR(ParseBracketed(&segment));
        return segment;
      }
    }
    Selector selector;
    if (Take("*")) {
      selector.kind = Selector::Kind::kWildcard;
    } else {
      const auto is_first = [](unsigned char c) {
        return absl::ascii_isalpha(c) || c == '_' || c >= 0x80;
      };
      if (at_ >= text_.size() || !is_first(text_[at_])) {
        return Fail(segment.descendant ? "a member name, '*' or '['" : "a member name or '*'");
      }
      const size_t start = at_;
      while (at_ < text_.size() && (is_first(text_[at_]) || AtDigit())) ++at_;
      selector.kind = Selector::Kind::kName;
      selector.name = std::string(text_.substr(start, at_ - start));
    }
    segment.selectors.push_back(std::move(selector));
    return segment;
  }

  absl::Status ParseBracketed(Segment* segment) {
    ++at_;
    do {
      Blanks();
      ABSL_ASSIGN_OR_RETURN(Selector selector, ParseSelector());
      segment->selectors.push_back(std::move(selector));
      Blanks();
    } while (Take(","));
    if (!Take("]")) return Fail("',' or ']'");
    return absl::OkStatus();
  }

  absl::StatusOr<Selector> ParseSelector() {
    Selector selector;
    if (At('\'') || At('"')) {
      selector.kind = Selector::Kind::kName;
      ABSL_ASSIGN_OR_RETURN(selector.name, ParseString());
      return selector;
    }
    if (Take("*")) return selector;
    if (Take("?")) {
      Nesting nesting(this);
      ABSL_RETURN_IF_ERROR(nesting.Check());
      Blanks();
      selector.kind = Selector::Kind::kFilter;
      ABSL_ASSIGN_OR_RETURN(selector.filter, ParseOr());
      return selector;
    }
    if (!AtDigit() && !At('-') && !At(':')) {
      return Fail("a quoted name, an index, a slice, '*' or '?'");
    }
    return ParseIndexOrSlice();
  }

  absl::StatusOr<Selector> ParseIndexOrSlice() {
    Selector selector;
    selector.kind = Selector::Kind::kIndex;
    if (!At(':')) {
      ABSL_ASSIGN_OR_RETURN(selector.index, ParseInteger());
      const size_t before = at_;
      Blanks();
      if (!At(':')) {
        at_ = before;
        return selector;
      }
      selector.start = selector.index;
    }
    ++at_;
    selector.kind = Selector::Kind::kSlice;
    Blanks();
    if (AtDigit() || At('-')) {
      ABSL_ASSIGN_OR_RETURN(selector.end, ParseInteger());
      Blanks();
    }
    if (Take(":")) {
      Blanks();
      if (AtDigit() || At('-')) {
        ABSL_ASSIGN_OR_RETURN(selector.step, ParseInteger());
      }
    }
    return selector;
  }

  absl::StatusOr<int64_t> ParseInteger() {
    const size_t start = at_;
    const bool negative = Take("-");
    if (!AtDigit()) return Fail("a digit");
    if (At('0')) {
      ++at_;
      if (negative) return FailAt(start, "expected an integer, but -0 is not one here");
      if (AtDigit()) return FailAt(start, "expected an integer without leading zeros");
      return 0;
    }
    while (AtDigit()) ++at_;
    int64_t value = 0;
    if (!absl::SimpleAtoi(text_.substr(start, at_ - start), &value) || value > kIntegerMost ||
        value < -kIntegerMost) {
      return FailAt(start, "expected an integer of at most 2^53 - 1 either way");
    }
    return value;
  }

  absl::StatusOr<uint32_t> ParseHex4() {
    uint32_t code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      if (at_ >= text_.size() || !absl::ascii_isxdigit(text_[at_])) {
        return Fail("four hexadecimal digits after \\u");
      }
      const char c = absl::ascii_tolower(text_[at_]);
      code = code * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return code;
  }

  absl::Status ParseEscape(char quote, std::string* out) {
    static constexpr absl::string_view kFrom = "btnfr/\\";
    static constexpr absl::string_view kTo = "\b\t\n\f\r/\\";
    if (at_ >= text_.size()) return Fail("an escaped character");
    const char c = text_[at_];
    if (c == quote) {
      *out += c;
      ++at_;
      return absl::OkStatus();
    }
    if (const size_t k = kFrom.find(c); k != absl::string_view::npos) {
      *out += kTo[k];
      ++at_;
      return absl::OkStatus();
    }
    if (c != 'u') {
      return Fail(absl::StrCat("one of b f n r t / \\ u ", std::string(1, quote), " after '\\'"));
    }
    const size_t start = at_ - 1;
    ++at_;
    ABSL_ASSIGN_OR_RETURN(uint32_t code, ParseHex4());
    if (code >= 0xDC00 && code <= 0xDFFF) {
      return FailAt(start, "expected a high surrogate before this low one");
    }
    if (code >= 0xD800 && code <= 0xDBFF) {
      if (!Take("\\u")) return Fail("a low surrogate (\\uDC00 to \\uDFFF)");
      ABSL_ASSIGN_OR_RETURN(const uint32_t low, ParseHex4());
      if (low < 0xDC00 || low > 0xDFFF) {
        return FailAt(at_ - 6, "expected a low surrogate (\\uDC00 to \\uDFFF)");
      }
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    AppendUtf8(code, out);
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ParseString() {
    const char quote = text_[at_++];
    std::string value;
    while (!At(quote)) {
      if (at_ >= text_.size()) return Fail(absl::StrCat("a closing ", std::string(1, quote)));
      const unsigned char c = text_[at_];
      if (c < 0x20) return Fail("an escape such as \\n or \\u0001");
      ++at_;
      if (c != '\\') {
        value += static_cast<char>(c);
        continue;
      }
      ABSL_RETURN_IF_ERROR(ParseEscape(quote, &value));
    }
    ++at_;
    return value;
  }

  absl::StatusOr<std::unique_ptr<const Logical>> ParseOr() {
    return ParseChain("||", Logical::Kind::kOr);
  }

  absl::StatusOr<std::unique_ptr<const Logical>> ParseChain(absl::string_view op,
                                                            Logical::Kind kind) {
    auto chain = std::make_unique<Logical>();
    chain->kind = kind;
    while (true) {
      auto child = kind == Logical::Kind::kOr ? ParseChain("&&", Logical::Kind::kAnd)
                                              : ParseBasic();
      if (!child.ok()) return child.status();
      chain->children.push_back(*std::move(child));
      const size_t before = at_;
      Blanks();
      if (!Take(op)) {
        at_ = before;
        break;
      }
      Blanks();
    }
    if (chain->children.size() == 1) return std::move(chain->children[0]);
    return std::unique_ptr<const Logical>(std::move(chain));
  }

  absl::StatusOr<std::unique_ptr<const Logical>> ParseBasic() {
    Nesting nesting(this);
    ABSL_RETURN_IF_ERROR(nesting.Check());
    const bool negated = Take("!");
    if (negated) Blanks();
    std::unique_ptr<const Logical> result;
    if (Take("(")) {
      Blanks();
      ABSL_ASSIGN_OR_RETURN(result, ParseOr());
      Blanks();
      if (!Take(")")) return Fail("'&&', '||' or ')'");
    } else {
      ABSL_ASSIGN_OR_RETURN(result, ParseComparisonOrTest(negated));
    }
    if (!negated) return result;
    auto inverse = std::make_unique<Logical>();
    inverse->kind = Logical::Kind::kNot;
    inverse->children.push_back(std::move(result));
    return std::unique_ptr<const Logical>(std::move(inverse));
  }

  absl::StatusOr<std::unique_ptr<const Logical>> ParseComparisonOrTest(bool test_only) {
    auto logical = std::make_unique<Logical>();
    ABSL_ASSIGN_OR_RETURN(logical->left, ParseOperand());
    const size_t before = at_;
    Blanks();
    std::optional<Comparison> comparison;
    if (!test_only) comparison = TakeComparison();
    if (comparison.has_value()) {
      logical->kind = Logical::Kind::kCompare;
      logical->comparison = *comparison;
      ABSL_RETURN_IF_ERROR(CheckComparable(logical->left));
      Blanks();
      ABSL_ASSIGN_OR_RETURN(logical->right, ParseOperand());
      ABSL_RETURN_IF_ERROR(CheckComparable(logical->right));
      return std::unique_ptr<const Logical>(std::move(logical));
    }
    if (logical->left.kind == Operand::Kind::kLiteral) {
      if (test_only) return FailAt(logical->left.offset, "expected a query, a function or '('");
      return Fail("a comparison: ==, !=, <, <=, > or >=");
    }
    at_ = before;
    logical->kind = Logical::Kind::kTest;
    if (logical->left.kind == Operand::Kind::kCall &&
        ReturnsValue(logical->left.call->function)) {
      return FailAt(logical->left.offset,
                    "the value of this function must be compared; expected ==, !=, <, <=, > "
                    "or >= after it");
    }
    return std::unique_ptr<const Logical>(std::move(logical));
  }

  std::optional<Comparison> TakeComparison() {
    if (Take("==")) return Comparison::kEqual;
    if (Take("!=")) return Comparison::kNotEqual;
    if (Take("<=")) return Comparison::kLessOrEqual;
    if (Take(">=")) return Comparison::kGreaterOrEqual;
    if (Take("<")) return Comparison::kLess;
    if (Take(">")) return Comparison::kGreater;
    return std::nullopt;
  }

  absl::Status CheckComparable(const Operand& operand) {
    if (operand.kind == Operand::Kind::kQuery && !operand.query.singular) {
      return FailAt(operand.offset,
                    "expected a query of names and indices only, because it is compared");
    }
    if (operand.kind == Operand::Kind::kCall && !ReturnsValue(operand.call->function)) {
      return FailAt(operand.offset, "the result of match() or search() cannot be compared");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Operand> ParseOperand() {
    Operand operand;
    operand.offset = at_;
    if (At('@') || At('$')) {
      operand.kind = Operand::Kind::kQuery;
      ABSL_ASSIGN_OR_RETURN(operand.query, ParseQuery());
      return operand;
    }
    if (At('\'') || At('"')) {
      ABSL_ASSIGN_OR_RETURN(std::string text, ParseString());
      operand.literal = std::move(text);
      return operand;
    }
    if (AtDigit() || At('-')) {
      ABSL_ASSIGN_OR_RETURN(operand.literal, ParseNumber());
      return operand;
    }
    const size_t start = at_;
    while (at_ < text_.size() && (absl::ascii_islower(text_[at_]) || AtDigit() || At('_'))) ++at_;
    const absl::string_view word = text_.substr(start, at_ - start);
    if (!word.empty() && absl::ascii_islower(word[0])) {
      if (At('(')) return ParseCall(start, word);
      if (word == "true" || word == "false") {
        operand.literal = word == "true";
        return operand;
      }
      if (word == "null") return operand;
    }
    at_ = start;
    return Fail("'@', '$', a literal, a function, '!' or '('");
  }

  absl::StatusOr<Json> ParseNumber() {
    const size_t start = at_;
    bool integer = true;
    Take("-");
    if (!AtDigit()) return Fail("a digit");
    if (Take("0")) {
      if (AtDigit()) return FailAt(start, "expected a number without leading zeros");
    }
    while (AtDigit()) ++at_;
    if (At('.')) {
      integer = false;
      ++at_;
      if (!AtDigit()) return Fail("a digit");
      while (AtDigit()) ++at_;
    }
    if (At('e') || At('E')) {
      integer = false;
      ++at_;
      if (At('+') || At('-')) ++at_;
      if (!AtDigit()) return Fail("a digit");
      while (AtDigit()) ++at_;
    }
    const std::string digits(text_.substr(start, at_ - start));
    if (int64_t value; integer && absl::SimpleAtoi(digits, &value)) return Json(value);
    if (uint64_t value; integer && absl::SimpleAtoi(digits, &value)) return Json(value);
    const double value = std::strtod(digits.c_str(), nullptr);
    if (!std::isfinite(value)) return FailAt(start, "expected a number that fits a double");
    return Json(value);
  }

  absl::StatusOr<Operand> ParseCall(size_t start, absl::string_view name) {
    Nesting nesting(this);
    ABSL_RETURN_IF_ERROR(nesting.Check());
    const FunctionRow* row = nullptr;
    for (const FunctionRow& candidate : kFunctions) {
      if (candidate.name == name) row = &candidate;
    }
    if (row == nullptr) {
      return FailAt(start, absl::StrCat("there is no function '", name,
                                        "'; expected length, count, match, search or value"));
    }
    auto call = std::make_unique<Call>();
    call->function = row->function;
    ++at_;
    Blanks();
    if (!At(')')) {
      do {
        Blanks();
        ABSL_ASSIGN_OR_RETURN(Operand argument, ParseOperand());
        call->arguments.push_back(std::move(argument));
        Blanks();
      } while (Take(","));
    }
    if (!Take(")")) return Fail("',' or ')'");
    if (call->arguments.size() != row->arguments) {
      return FailAt(start, absl::StrCat(name, "() takes ", row->arguments, " argument",
                                        row->arguments == 1 ? "" : "s", ", not ",
                                        call->arguments.size()));
    }
    for (const Operand& argument : call->arguments) {
      ABSL_RETURN_IF_ERROR(CheckArgument(*row, argument));
    }
    ABSL_RETURN_IF_ERROR(CompilePattern(call.get()));
    Operand operand;
    operand.kind = Operand::Kind::kCall;
    operand.offset = start;
    operand.call = std::move(call);
    return operand;
  }

  absl::Status CheckArgument(const FunctionRow& row, const Operand& argument) {
    if (TakesNodes(row.function)) {
      if (argument.kind == Operand::Kind::kQuery) return absl::OkStatus();
      return FailAt(argument.offset, absl::StrCat("expected a query as argument of ", row.name));
    }
    if (argument.kind == Operand::Kind::kQuery && !argument.query.singular) {
      return FailAt(argument.offset,
                    absl::StrCat("expected a query of names and indices only as argument of ",
                                 row.name));
    }
    if (argument.kind == Operand::Kind::kCall && !ReturnsValue(argument.call->function)) {
      return FailAt(argument.offset,
                    absl::StrCat("expected a value as argument of ", row.name));
    }
    return absl::OkStatus();
  }

  absl::Status CompilePattern(Call* call) {
    if (call->function != Function::kMatch && call->function != Function::kSearch) {
      return absl::OkStatus();
    }
    const Operand& pattern = call->arguments[1];
    if (pattern.kind != Operand::Kind::kLiteral || !pattern.literal.is_string()) {
      return absl::OkStatus();
    }
    auto regex = CompileIRegexp(*pattern.literal.get_ptr<const std::string*>());
    if (!regex.ok()) return FailAt(pattern.offset, regex.status().message());
    call->regex = *std::move(regex);
    return absl::OkStatus();
  }

  const absl::string_view text_;
  size_t at_ = 0;
  size_t error_offset_ = 0;
  int nesting_ = 0;
};

}  // namespace

absl::StatusOr<Query> Parse(absl::string_view text, size_t* error_offset) {
  if (text.size() > DefaultLimits().jsonpath_bytes) {
    if (error_offset != nullptr) *error_offset = DefaultLimits().jsonpath_bytes;
    return absl::InvalidArgumentError(absl::StrCat("the JSONPath query has ", text.size(),
                                                   " bytes; at most ",
                                                   DefaultLimits().jsonpath_bytes,
                                                   " are allowed"));
  }
  Parser parser(text);
  auto query = parser.Run();
  if (!query.ok() && error_offset != nullptr) *error_offset = parser.error_offset();
  return query;
}

}  // namespace picket::jsonpath
