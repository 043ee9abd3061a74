#include "common/expr/template.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/expr/limits.h"
#include "common/expr/template_builtins.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

struct Part {
  enum class Kind { kText, kVariable, kBuiltin };
  Kind kind = Kind::kText;
  std::string text;        // the literal text, or the name
  bool insertion = false;  // {{ 'text' }} is an insertion too
  bool raw = false;
  size_t offset = 0;  // in the template
  BuiltinCall call;
};

bool IsNameStart(char c) { return absl::ascii_isalpha(c) || c == '_'; }
bool IsNameCharacter(char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; }

void AddOnce(absl::string_view name, std::vector<std::string>* names) {
  if (std::find(names->begin(), names->end(), name) == names->end()) {
    names->emplace_back(name);
  }
}

bool IsUnreserved(char c) {
  return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

absl::Status TooLarge() {
  return absl::ResourceExhaustedError(
      absl::StrCat("the rendered template exceeds ", DefaultLimits().rendered_bytes, " bytes"));
}

absl::Status UnknownVariable(absl::string_view name) {
  return absl::NotFoundError(absl::StrCat("there is no variable '", name, "'"));
}

}  // namespace

struct Template::Program {
  std::vector<Part> parts;
  std::vector<std::string> variables;
  std::vector<std::string> builtins;
};

namespace {

class TemplateParser {
 public:
  explicit TemplateParser(absl::string_view text) : text_(text) {}

  absl::StatusOr<Template::Program> Run() {
    if (text_.size() > DefaultLimits().template_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("the template has ", text_.size(), " bytes; at most ",
                       DefaultLimits().template_bytes, " are allowed"));
    }
    size_t insertions = 0;
    while (at_ < text_.size()) {
      const size_t open = std::min(text_.find("{{", at_), text_.size());
      if (open > at_) {
        Part part;
        part.text = std::string(text_.substr(at_, open - at_));
        part.offset = at_;
        program_.parts.push_back(std::move(part));
      }
      at_ = open;
      if (at_ == text_.size()) break;
      if (++insertions > DefaultExprLimits().template_insertions) {
        return FailAt(at_, absl::StrCat("a template may hold at most ",
                                        DefaultExprLimits().template_insertions, " insertions"));
      }
      ABSL_RETURN_IF_ERROR(ParseInsertion());
    }
    return std::move(program_);
  }

  size_t error_offset() const { return error_offset_; }

 private:
  absl::Status FailAt(size_t offset, absl::string_view what) {
    error_offset_ = offset;
    return absl::InvalidArgumentError(absl::StrCat(
        what, " (character ", CountCodePoints(text_.substr(0, offset)) + 1, " of the template)"));
  }

  std::string Found() const {
    if (at_ >= text_.size()) return "the end";
    size_t length = 1;
    while (at_ + length < text_.size() && (text_[at_ + length] & 0xC0) == 0x80) ++length;
    if (length == 1 && !absl::ascii_isprint(text_[at_])) return "a control character";
    return absl::StrCat("'", text_.substr(at_, length), "'");
  }

  absl::Status Expected(absl::string_view what) {
    return FailAt(at_, absl::StrCat("expected ", what, " but found ", Found()));
  }

  void Blanks() {
    while (at_ < text_.size() && absl::ascii_isspace(text_[at_])) ++at_;
  }

  bool At(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool AtQuote() const { return At('\'') || At('"'); }

  bool Take(absl::string_view s) {
    if (!absl::StartsWith(text_.substr(at_), s)) return false;
    at_ += s.size();
    return true;
  }

  std::string TakeName() {
    const size_t start = at_;
    while (at_ < text_.size() && IsNameCharacter(text_[at_])) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }

  absl::StatusOr<std::string> TakeQuoted() {
    const size_t start = at_;
    const char quote = text_[at_++];
    std::string value;
    while (!At(quote)) {
      if (At('\\') && at_ + 1 < text_.size() && absl::StrContains("'\"\\", text_[at_ + 1])) {
        ++at_;
      }
      if (at_ >= text_.size()) {
        return FailAt(start, "the string that starts here has no closing quote");
      }
      value += text_[at_++];
    }
    ++at_;
    return value;
  }

  absl::Status ParseInsertion() {
    Part part;
    part.insertion = true;
    part.offset = at_;
    at_ += 2;
    Blanks();
    const size_t start = at_;
    if (AtQuote()) {
      ABSL_ASSIGN_OR_RETURN(part.text, TakeQuoted());
    } else if (at_ < text_.size() && IsNameStart(text_[at_])) {
      part.text = TakeName();
      if (IsBuiltinName(part.text)) {
        ABSL_RETURN_IF_ERROR(ParseBuiltin(start, &part));
      } else {
        part.kind = Part::Kind::kVariable;
        AddOnce(part.text, &program_.variables);
        if (At('(')) {
          return FailAt(start,
                        absl::StrCat("there is no built-in '", part.text,
                                     "'; there are uuid, timestamp, date, numeric, alphabetic and "
                                     "alphanumeric"));
        }
      }
    } else {
      return Expected("a variable, a built-in or a quoted string after '{{'");
    }
    Blanks();
    if (Take("|")) {
      Blanks();
      const size_t filter = at_;
      if (TakeName() != "raw") {
        at_ = filter;
        return Expected("'raw' after '|'");
      }
      part.raw = true;
      Blanks();
    }
    if (!Take("}}")) return Expected(part.raw ? "'}}'" : "'}}' or '| raw'");
    program_.parts.push_back(std::move(part));
    return absl::OkStatus();
  }

  absl::Status ParseBuiltin(size_t start, Part* part) {
    part->kind = Part::Kind::kBuiltin;
    AddOnce(part->text, &program_.builtins);
    std::vector<BuiltinArgument> arguments;
    if (Take("(")) {
      Blanks();
      if (!Take(")")) {
        do {
          BuiltinArgument argument;
          ABSL_RETURN_IF_ERROR(ParseArgument(&argument));
          arguments.push_back(std::move(argument));
        } while (Take(","));
        if (!Take(")")) return Expected("',' or ')'");
      }
    }
    size_t blamed = start;
    auto call = MakeBuiltin(part->text, arguments, &blamed);
    if (!call.ok()) return FailAt(blamed, call.status().message());
    part->call = *std::move(call);
    return absl::OkStatus();
  }

  // Quoted, or bare up to the next ',' or ')'.
  absl::Status ParseArgument(BuiltinArgument* argument) {
    Blanks();
    argument->offset = at_;
    if (AtQuote()) {
      ABSL_ASSIGN_OR_RETURN(argument->text, TakeQuoted());
      Blanks();
      return absl::OkStatus();
    }
    const size_t start = at_;
    while (at_ < text_.size() && !At(',') && !At(')') && !At('}')) ++at_;
    argument->text =
        std::string(absl::StripTrailingAsciiWhitespace(text_.substr(start, at_ - start)));
    if (argument->text.empty()) return Expected("an argument");
    return absl::OkStatus();
  }

  const absl::string_view text_;
  size_t at_ = 0;
  size_t error_offset_ = 0;
  Template::Program program_;
};

// Appends `text` as `mode` asks.
absl::Status Append(absl::string_view text, const Part& part, RenderMode mode, std::string* out) {
  const bool encode =
      (mode == RenderMode::kUrl && part.insertion && part.offset != 0 && !part.raw) ||
      (mode == RenderMode::kQuery && !part.raw);
  if (mode == RenderMode::kHeader &&
      text.find_first_of(absl::string_view("\r\n\0", 3)) != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        part.kind == Part::Kind::kVariable ? absl::StrCat("the value of '", part.text, "'")
                                           : std::string("the text"),
        " holds CR, LF or NUL, which a header field or method must not"));
  }
  if (encode) {
    absl::StrAppend(out, PercentEncode(text));
  } else {
    absl::StrAppend(out, text);
  }
  return out->size() > DefaultLimits().rendered_bytes ? TooLarge() : absl::OkStatus();
}

}  // namespace

Template::Template() {
  static const auto& empty = *new std::shared_ptr<const Program>(std::make_shared<Program>());
  program_ = empty;
}

absl::StatusOr<Template> Template::Parse(absl::string_view text, size_t* error_offset) {
  TemplateParser parser(text);
  auto program = parser.Run();
  if (!program.ok()) {
    if (error_offset != nullptr) *error_offset = parser.error_offset();
    return program.status();
  }
  return Template(std::make_shared<const Program>(*std::move(program)));
}

const std::vector<std::string>& Template::variables() const { return program_->variables; }
const std::vector<std::string>& Template::builtins() const { return program_->builtins; }

bool Template::is_literal() const {
  return std::none_of(program_->parts.begin(), program_->parts.end(),
                      [](const Part& part) { return part.insertion; });
}

absl::StatusOr<Rendered> Template::Render(const TemplateContext& context, RenderMode mode) const {
  Rendered rendered;
  for (const Part& part : program_->parts) {
    switch (part.kind) {
      case Part::Kind::kText:
        ABSL_RETURN_IF_ERROR(Append(part.text, part, mode, &rendered.text));
        break;
      case Part::Kind::kVariable: {
        const TemplateValue* value = context.lookup(part.text);
        if (value == nullptr) return UnknownVariable(part.text);
        rendered.uses_secret |= value->secret;
        if (const auto* text = value->value.get_ptr<const std::string*>()) {
          ABSL_RETURN_IF_ERROR(Append(*text, part, mode, &rendered.text));
        } else {
          ABSL_RETURN_IF_ERROR(Append(ToText(value->value), part, mode, &rendered.text));
        }
        break;
      }
      case Part::Kind::kBuiltin: {
        const Json value = CallBuiltin(part.call, context.now, *context.random);
        ABSL_RETURN_IF_ERROR(Append(ToPlainText(value), part, mode, &rendered.text));
        break;
      }
    }
  }
  return rendered;
}

absl::StatusOr<RenderedJson> Template::RenderJson(const TemplateContext& context) const {
  if (program_->parts.size() == 1) {
    const Part& part = program_->parts[0];
    if (part.kind == Part::Kind::kVariable) {
      const TemplateValue* value = context.lookup(part.text);
      if (value == nullptr) return UnknownVariable(part.text);
      return RenderedJson{value->value, value->secret};
    }
    if (part.kind == Part::Kind::kBuiltin) {
      return RenderedJson{CallBuiltin(part.call, context.now, *context.random), false};
    }
  }
  ABSL_ASSIGN_OR_RETURN(Rendered rendered, Render(context, RenderMode::kText));
  return RenderedJson{std::move(rendered.text), rendered.uses_secret};
}

bool IsVariableName(absl::string_view name) {
  return !name.empty() && IsNameStart(name[0]) &&
         std::all_of(name.begin(), name.end(), IsNameCharacter) && !IsBuiltinName(name);
}

std::string PercentEncode(absl::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    if (IsUnreserved(c)) {
      out += c;
    } else {
      const unsigned char byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace picket
