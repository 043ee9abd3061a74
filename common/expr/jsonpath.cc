#include "common/expr/jsonpath.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/expr/jsonpath_query.h"

namespace picket {
namespace {

// RFC 9535, section 2.7.
void AppendNormalizedName(const std::string& name, std::string* out) {
  static constexpr absl::string_view kFrom = "\b\t\n\f\r'\\";
  static constexpr absl::string_view kTo = "btnfr'\\";
  *out += "['";
  for (char c : name) {
    if (const size_t k = kFrom.find(c); k != absl::string_view::npos) {
      *out += '\\';
      *out += kTo[k];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(out, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      *out += c;
    }
  }
  *out += "']";
}

std::string NormalizedPath(const std::vector<jsonpath::Step>& trail, uint32_t at) {
  std::vector<const jsonpath::Step*> steps;
  for (; at != 0; at = trail[at].parent) steps.push_back(&trail[at]);
  std::string path = "$";
  for (auto it = steps.rbegin(); it != steps.rend(); ++it) {
    if ((*it)->name != nullptr) {
      AppendNormalizedName(*(*it)->name, &path);
    } else {
      absl::StrAppend(&path, "[", (*it)->index, "]");
    }
  }
  return path;
}

class CompiledPath : public JsonPath {
 public:
  CompiledPath(absl::string_view text, jsonpath::Query query)
      : text_(text), query_(std::move(query)) {}

  bool singular() const override { return query_.singular; }
  const std::string& text() const override { return text_; }

  absl::StatusOr<std::vector<const Json*>> Evaluate(const Json& root,
                                                    size_t nodes_most) const override {
    ABSL_ASSIGN_OR_RETURN(const std::vector<jsonpath::Node> nodes,
                          jsonpath::Evaluate(query_, root, nodes_most, nullptr));
    std::vector<const Json*> values(nodes.size());
    std::transform(nodes.begin(), nodes.end(), values.begin(),
                   [](const jsonpath::Node& node) { return node.value; });
    return values;
  }

  absl::StatusOr<std::vector<Located>> EvaluateLocated(const Json& root,
                                                       size_t nodes_most) const override {
    std::vector<jsonpath::Step> trail;
    ABSL_ASSIGN_OR_RETURN(const std::vector<jsonpath::Node> nodes,
                          jsonpath::Evaluate(query_, root, nodes_most, &trail));
    std::vector<Located> located;
    located.reserve(nodes.size());
    for (const jsonpath::Node& node : nodes) {
      located.push_back({NormalizedPath(trail, node.trail), node.value});
    }
    return located;
  }

 private:
  const std::string text_;
  const jsonpath::Query query_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const JsonPath>> JsonPath::Compile(absl::string_view text,
                                                                  size_t* error_offset) {
  ABSL_ASSIGN_OR_RETURN(jsonpath::Query query, jsonpath::Parse(text, error_offset));
  return std::make_shared<const CompiledPath>(text, std::move(query));
}

}  // namespace picket
