#include "common/expr/iregexp.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/expr/json.h"

namespace picket {
namespace {

// All assigned characters but those of category C; RE2 has no Cn, and its C lacks it.
constexpr absl::string_view kNotOther = "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Z}";
constexpr absl::string_view kAssigned =
    "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{Cc}\\p{Cf}\\p{Co}\\p{Cs}";

class Translator {
 public:
  explicit Translator(absl::string_view in) : in_(in) {}

  absl::StatusOr<std::string> Run() {
    if (!IsValidUtf8(in_)) return Fail("valid UTF-8");
    bool after_atom = false;  // may a quantifier follow?
    int open = 0;
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '|') {
        Copy();
        after_atom = false;
      } else if (c == '(') {
        ++at_;
        ++open;
        out_ += "(?:";
        after_atom = false;
      } else if (c == ')') {
        if (open == 0) return Fail("no ')' without a '('");
        --open;
        Copy();
        after_atom = true;
      } else if (c == '*' || c == '+' || c == '?' || c == '{') {
        if (!after_atom) return Fail("something to repeat before a quantifier");
        ABSL_RETURN_IF_ERROR(Quantifier());
        after_atom = false;
      } else {
        ABSL_RETURN_IF_ERROR(Atom());
        after_atom = true;
      }
    }
    if (open > 0) return Fail("')'");
    return std::move(out_);
  }

 private:
  absl::Status Fail(absl::string_view expected) const {
    return absl::InvalidArgumentError(
        absl::StrCat("not an I-Regexp (RFC 9485): expected ", expected, " at character ",
                     CountCodePoints(in_.substr(0, at_)) + 1, " of the pattern"));
  }

  void Copy() { out_ += in_[at_++]; }
  bool At(char c) const { return at_ < in_.size() && in_[at_] == c; }

  absl::Status Digits() {
    if (at_ >= in_.size() || !absl::ascii_isdigit(in_[at_])) return Fail("a digit");
    while (at_ < in_.size() && absl::ascii_isdigit(in_[at_])) Copy();
    return absl::OkStatus();
  }

  absl::Status Quantifier() {
    if (!At('{')) {
      Copy();
      return absl::OkStatus();
    }
    Copy();
    ABSL_RETURN_IF_ERROR(Digits());
    if (At(',')) {
      Copy();
      if (!At('}')) ABSL_RETURN_IF_ERROR(Digits());
    }
    if (!At('}')) return Fail("'}'");
    Copy();
    return absl::OkStatus();
  }

  absl::Status Atom() {
    switch (in_[at_]) {
      case '.':
        ++at_;
        out_ += "[^\\n\\r]";
        return absl::OkStatus();
      case '[':
        return Class();
      case '\\':
        if (Next() == 'p' || Next() == 'P') {
          std::string items;
          std::string complement;
          ABSL_RETURN_IF_ERROR(Category(&items, &complement));
          absl::StrAppend(&out_, complement.empty() ? absl::StrCat("[", items, "]")
                                                    : absl::StrCat("[^", complement, "]"));
          return absl::OkStatus();
        }
        return Escape(&out_);
      case ']':
      case '}':
        return Fail(absl::StrCat("'\\' before '", in_.substr(at_, 1), "'"));
      default:
        Copy();
        return absl::OkStatus();
    }
  }

  char Next() const { return at_ + 1 < in_.size() ? in_[at_ + 1] : '\0'; }

  absl::Status Escape(std::string* out) {
    static constexpr absl::string_view kEscapable = "()*+-.?[\\]^nrt{|}";
    if (Next() == '\0' || !absl::StrContains(kEscapable, Next())) {
      ++at_;
      return Fail("one of ( ) * + - . ? [ \\ ] ^ n r t { | } p P after '\\'");
    }
    // RE2 reads each of them the same way.
    absl::StrAppend(out, in_.substr(at_, 2));
    at_ += 2;
    return absl::OkStatus();
  }

  // \p{..} or \P{..}: appends to `items` what a class may hold; or sets `complement` to the
  // items of the class whose complement is meant.
  absl::Status Category(std::string* items, std::string* complement) {
    static constexpr absl::string_view kMinor[] = {"Llmotu", "Mcen",  "Ndlo", "Pcdefios",
                                                   "Zlps",   "Sckmo", "Ccfno"};
    const bool negated = Next() == 'P';
    at_ += 2;
    if (!At('{')) return Fail("'{'");
    ++at_;
    const size_t end = in_.find('}', at_);
    const absl::string_view name = end == absl::string_view::npos ? "" : in_.substr(at_, end - at_);
    bool known = false;
    for (absl::string_view minor : kMinor) {
      known |=
          (name.size() == 1 && name[0] == minor[0]) ||
          (name.size() == 2 && name[0] == minor[0] && absl::StrContains(minor.substr(1), name[1]));
    }
    if (!known) return Fail("a Unicode general category such as L or Lu");
    at_ = end + 1;
    if (name == "C" || name == "Cn") {
      const absl::string_view rest = name == "C" ? kNotOther : kAssigned;
      if (negated) {
        absl::StrAppend(items, rest);
      } else {
        *complement = std::string(rest);
      }
      return absl::OkStatus();
    }
    absl::StrAppend(items, negated ? "\\P{" : "\\p{", name, "}");
    return absl::OkStatus();
  }

  // One character of a class; `code` receives it in a form safe within RE2's brackets.
  absl::Status ClassCharacter(std::string* code) {
    if (at_ >= in_.size()) return Fail("']'");
    const char c = in_[at_];
    if (c == '\\') return Escape(code);
    if (c == '[' || c == '-') return Fail(absl::StrCat("'\\' before '", std::string(1, c), "'"));
    const size_t start = at_++;
    while (at_ < in_.size() && (in_[at_] & 0xC0) == 0x80) ++at_;
    if (at_ - start > 1 || absl::ascii_isalnum(c)) {
      absl::StrAppend(code, in_.substr(start, at_ - start));
    } else {
      absl::StrAppendFormat(code, "\\x{%x}", static_cast<unsigned char>(c));
    }
    return absl::OkStatus();
  }

  absl::Status Class() {
    ++at_;
    const bool negated = At('^');
    if (negated) ++at_;
    std::string items;
    std::vector<std::string> complements;
    if (At('-')) {
      ++at_;
      items += "\\-";
    } else if (At(']')) {
      return Fail("a character in the class");
    }
    while (!At(']')) {
      if (At('-') && Next() == ']') {
        ++at_;
        items += "\\-";
        continue;
      }
      if (At('\\') && (Next() == 'p' || Next() == 'P')) {
        std::string complement;
        ABSL_RETURN_IF_ERROR(Category(&items, &complement));
        if (!complement.empty()) complements.push_back(complement);
        continue;
      }
      ABSL_RETURN_IF_ERROR(ClassCharacter(&items));
      if (At('-') && Next() != ']') {
        ++at_;
        items += '-';
        ABSL_RETURN_IF_ERROR(ClassCharacter(&items));
      }
    }
    ++at_;
    if (complements.empty()) {
      absl::StrAppend(&out_, negated ? "[^" : "[", items, "]");
      return absl::OkStatus();
    }
    if (negated) {
      if (items.empty() && complements.size() == 1) {
        absl::StrAppend(&out_, "[", complements[0], "]");
        return absl::OkStatus();
      }
      return Fail("no \\p{C} or \\p{Cn} beside others in a negated class, which RE2 cannot say,");
    }
    out_ += "(?:";
    if (!items.empty()) absl::StrAppend(&out_, "[", items, "]|");
    for (size_t i = 0; i < complements.size(); ++i) {
      absl::StrAppend(&out_, i == 0 ? "[^" : "|[^", complements[i], "]");
    }
    out_ += ")";
    return absl::OkStatus();
  }

  const absl::string_view in_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

absl::StatusOr<std::string> TranslateIRegexp(absl::string_view pattern) {
  return Translator(pattern).Run();
}

absl::StatusOr<std::shared_ptr<const Regex>> CompileIRegexp(absl::string_view pattern) {
  ABSL_ASSIGN_OR_RETURN(const std::string translated, TranslateIRegexp(pattern));
  return Regex::Compile(translated);
}

}  // namespace picket
