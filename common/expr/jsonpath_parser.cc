#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/expr/iregexp.h"
#include "common/expr/jsonpath_query.h"
#include "common/expr/jsonpath_scanner.h"
#include "common/expr/limits.h"
#include "common/policy/limits.h"

namespace picket::jsonpath {
namespace {

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
class Parser : public Scanner {
 public:
  explicit Parser(absl::string_view text) : Scanner(text) {}

  absl::StatusOr<Query> Run() {
    if (!IsValidUtf8(text_)) return Fail("valid UTF-8");
    if (!At('$')) return Fail("'$' at the start of the query");
    ABSL_ASSIGN_OR_RETURN(Query query, ParseQuery());
    if (at_ != text_.size()) return Fail("'.', '..', '[' or the end of the query");
    return query;
  }

 private:
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

  absl::StatusOr<std::unique_ptr<const Logical>> ParseOr() {
    return ParseChain("||", Logical::Kind::kOr);
  }

  absl::StatusOr<std::unique_ptr<const Logical>> ParseChain(absl::string_view op,
                                                            Logical::Kind kind) {
    auto chain = std::make_unique<Logical>();
    chain->kind = kind;
    while (true) {
      auto child =
          kind == Logical::Kind::kOr ? ParseChain("&&", Logical::Kind::kAnd) : ParseBasic();
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
    if (logical->left.kind == Operand::Kind::kCall && ReturnsValue(logical->left.call->function)) {
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
      return FailAt(start,
                    absl::StrCat(name, "() takes ", row->arguments, " argument",
                                 row->arguments == 1 ? "" : "s", ", not ", call->arguments.size()));
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
      return FailAt(
          argument.offset,
          absl::StrCat("expected a query of names and indices only as argument of ", row.name));
    }
    if (argument.kind == Operand::Kind::kCall && !ReturnsValue(argument.call->function)) {
      return FailAt(argument.offset, absl::StrCat("expected a value as argument of ", row.name));
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

  int nesting_ = 0;
};

}  // namespace

absl::StatusOr<Query> Parse(absl::string_view text, size_t* error_offset) {
  if (text.size() > DefaultLimits().jsonpath_bytes) {
    if (error_offset != nullptr) *error_offset = DefaultLimits().jsonpath_bytes;
    return absl::InvalidArgumentError(absl::StrCat("the JSONPath query has ", text.size(),
                                                   " bytes; at most ",
                                                   DefaultLimits().jsonpath_bytes, " are allowed"));
  }
  Parser parser(text);
  auto query = parser.Run();
  if (!query.ok() && error_offset != nullptr) *error_offset = parser.error_offset();
  return query;
}

}  // namespace picket::jsonpath
