// File: template.h
//
// The template language of suite files: text with insertions between {{ and }}.
//
//   {{ name }}           a variable
//   {{ name | raw }}     the same, not percent-encoded in a URL, query or form
//   {{ '{{' }}           a literal string, quoted by ' or " (\' \" \\ escape): prints {{
//   {{ uuid }}           a random UUID, version 4
//   {{ timestamp(n, unit) }}  now plus n units (default 0, s) as Unix time: in seconds for
//                        unit s, m, h or d, in milliseconds for ms, in microseconds for us
//   {{ date(n, format) }}     now plus n in UTC; n is a number of seconds or a duration
//                        such as -1d, 12h, 1h30m, 500ms. Directives: %Y %y %m %d %e %j %H %I
//                        %M %S %p %L (milliseconds) %a %A %b %B %F %T %s %z %Z %%.
//                        The default is RFC 3339: '%Y-%m-%dT%H:%M:%SZ'
//   {{ numeric(n) }}     n digits · {{ alphabetic(n) }} n letters A-Z a-z ·
//   {{ alphanumeric(n) }} n of both
//
// uuid, timestamp and date need no parentheses when they have no arguments. Variable
// names are [A-Za-z_][A-Za-z0-9_-]*; the names of built-ins are reserved. What a variable
// or built-in yields is never looked at for insertions again.
//
// Thread rule: a Template is immutable and safe to use from any thread; Render uses the
// context's Random, which has one owner at a time.

#ifndef COMMON_EXPR_TEMPLATE_H_
#define COMMON_EXPR_TEMPLATE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/random.h"
#include "common/expr/json.h"

namespace picket {

struct TemplateValue {
  Json value;
  bool secret = false;
};

// The value of a variable, or null when there is none. The value need only live until
// Render returns.
using TemplateLookup = std::function<const TemplateValue*(absl::string_view name)>;

struct TemplateContext {
  TemplateLookup lookup;
  absl::Time now;
  Random* random;  // not owned, not null; the built-ins draw from it in the order of the text
};

// What happens to what is rendered.
enum class RenderMode {
  kText,    // nothing
  kUrl,     // insertions are percent-encoded (all but RFC 3986 unreserved characters), but
            // for one at position 0 and those with `| raw`; literal text stays as it is
  kQuery,   // everything is percent-encoded, literal text too, but for `| raw`: one name or
            // value of a query or form
  kHeader,  // CR, LF or NUL in the result is an InvalidArgument error: header fields, methods
};

struct Rendered {
  std::string text;
  bool uses_secret = false;
};

struct RenderedJson {
  Json value;
  bool uses_secret = false;
};

class Template {
 public:
  // An empty text.
  Template();

  // InvalidArgument says what is wrong and at which character (from 1); `error_offset`, if
  // given, then receives the byte offset (from 0) within `text`.
  static absl::StatusOr<Template> Parse(absl::string_view text, size_t* error_offset = nullptr);

  // The variables and built-ins that the text names, each once, in order of appearance.
  const std::vector<std::string>& variables() const;
  const std::vector<std::string>& builtins() const;
  // True if there is no insertion at all.
  bool is_literal() const;

  // NotFound: an unknown variable. ResourceExhausted: the result exceeds
  // Limits::rendered_bytes. InvalidArgument: see RenderMode::kHeader. Messages never
  // contain a variable's value.
  absl::StatusOr<Rendered> Render(const TemplateContext& context, RenderMode mode) const;

  // A text that is exactly one insertion keeps the JSON type of its value (timestamp is a
  // number, other built-ins are strings); any other is a string.
  absl::StatusOr<RenderedJson> RenderJson(const TemplateContext& context) const;

  // Constant after Parse; defined in template.cc.
  struct Program;

 private:
  explicit Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const Program> program_;
};

// A JSON document whose strings and member names are templates: substitution is into the
// parsed tree, so a value can never change the document's shape by its quotes.
class JsonTemplate {
 public:
  // An InvalidArgument error names the JSON Pointer of the bad string.
  static absl::StatusOr<JsonTemplate> Parse(Json tree);

  const std::vector<std::string>& variables() const { return variables_; }
  const std::vector<std::string>& builtins() const { return builtins_; }

  // As Template::RenderJson for every string, in document order; a member name is text. Also
  // InvalidArgument: two members of one object got the same name. ResourceExhausted: the
  // result is larger than Limits::rendered_bytes or deeper than Limits::json_depth.
  absl::StatusOr<RenderedJson> Render(const TemplateContext& context) const;

 private:
  Json tree_;
  std::vector<Template> templates_;  // of the strings that hold insertions, document order
  std::vector<std::string> variables_;
  std::vector<std::string> builtins_;
};

// JsonTemplate::Parse and Render in one.
absl::StatusOr<RenderedJson> RenderJsonTree(const Json& tree, const TemplateContext& context);

// May `name` be declared as a variable? (Of the right form, and no built-in.)
bool IsVariableName(absl::string_view name);
bool IsBuiltinName(absl::string_view name);

// Percent-encodes all but RFC 3986 unreserved characters.
std::string PercentEncode(absl::string_view text);

}  // namespace picket

#endif  // COMMON_EXPR_TEMPLATE_H_
