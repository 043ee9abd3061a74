#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/expr/template.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

bool HasInsertion(absl::string_view text) { return absl::StrContains(text, "{{"); }

// Calls `visit(text, pointer)` for every string and member name with an insertion, in
// document order: each member's name, then its value.
template <typename Visit>
absl::Status ForEachTemplate(const Json& node, const std::string& pointer, const Visit& visit) {
  if (const auto* text = node.get_ptr<const std::string*>()) {
    return HasInsertion(*text) ? visit(*text, pointer) : absl::OkStatus();
  }
  if (const auto* members = node.get_ptr<const Json::object_t*>()) {
    for (const auto& [name, value] : *members) {
      const std::string below = absl::StrCat(pointer, "/", PointerToken(name));
      if (HasInsertion(name)) ABSL_RETURN_IF_ERROR(visit(name, below));
      ABSL_RETURN_IF_ERROR(ForEachTemplate(value, below, visit));
    }
  } else if (node.is_array()) {
    for (size_t i = 0; i < node.size(); ++i) {
      ABSL_RETURN_IF_ERROR(ForEachTemplate(node[i], absl::StrCat(pointer, "/", i), visit));
    }
  }
  return absl::OkStatus();
}

// Builds the rendered tree, taking the templates in the order of ForEachTemplate.
class TreeRenderer {
 public:
  TreeRenderer(const std::vector<Template>& templates, const TemplateContext& context)
      : next_(templates.begin()), context_(context) {}

  bool uses_secret() const { return uses_secret_; }

  absl::StatusOr<Json> Render(const Json& node) {
    if (const auto* text = node.get_ptr<const std::string*>()) {
      if (!HasInsertion(*text)) return Spend(node);
      ABSL_ASSIGN_OR_RETURN(RenderedJson rendered, (next_++)->RenderJson(context_));
      uses_secret_ |= rendered.uses_secret;
      return Spend(std::move(rendered.value));
    }
    if (const auto* members = node.get_ptr<const Json::object_t*>()) return RenderObject(*members);
    if (!node.is_array()) return Spend(node);
    Json::array_t elements;
    elements.reserve(node.size());
    for (const Json& element : node) {
      ABSL_ASSIGN_OR_RETURN(Json rendered, Render(element));
      elements.push_back(std::move(rendered));
    }
    return Json(std::move(elements));
  }

 private:
  absl::StatusOr<Json> RenderObject(const Json::object_t& members) {
    Json::object_t out;
    out.reserve(members.size());
    absl::flat_hash_set<std::string> names;
    for (const auto& [name, value] : members) {
      std::string key = name;
      if (HasInsertion(name)) {
        ABSL_ASSIGN_OR_RETURN(Rendered rendered, (next_++)->Render(context_, RenderMode::kText));
        uses_secret_ |= rendered.uses_secret;
        key = std::move(rendered.text);
      }
      if (!names.insert(key).second) {
        return absl::InvalidArgumentError(
            absl::StrCat("two members of one JSON object render to one name; one of them is "
                         "written '",
                         name, "'"));
      }
      ABSL_RETURN_IF_ERROR(SpendBytes(key.size()));
      ABSL_ASSIGN_OR_RETURN(Json rendered, Render(value));
      out.emplace_back(std::move(key), std::move(rendered));
    }
    return Json(std::move(out));
  }

  absl::Status SpendBytes(size_t bytes) {
    bytes_ += bytes + 1;
    if (bytes_ <= DefaultLimits().rendered_bytes) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat("the rendered JSON exceeds ", DefaultLimits().rendered_bytes, " bytes"));
  }

  absl::Status SpendTree(const Json& node) {
    const auto* text = node.get_ptr<const std::string*>();
    ABSL_RETURN_IF_ERROR(SpendBytes(text == nullptr ? 0 : text->size()));
    if (const auto* members = node.get_ptr<const Json::object_t*>()) {
      for (const auto& [name, value] : *members) {
        ABSL_RETURN_IF_ERROR(SpendBytes(name.size()));
        ABSL_RETURN_IF_ERROR(SpendTree(value));
      }
    } else if (node.is_array()) {
      for (const Json& element : node) ABSL_RETURN_IF_ERROR(SpendTree(element));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Json> Spend(Json node) {
    ABSL_RETURN_IF_ERROR(SpendTree(node));
    return node;
  }

  std::vector<Template>::const_iterator next_;
  const TemplateContext& context_;
  size_t bytes_ = 0;
  bool uses_secret_ = false;
};

void Merge(const std::vector<std::string>& from, std::vector<std::string>* into) {
  for (const std::string& name : from) {
    if (std::find(into->begin(), into->end(), name) == into->end()) into->push_back(name);
  }
}

}  // namespace

absl::StatusOr<JsonTemplate> JsonTemplate::Parse(Json tree) {
  JsonTemplate result;
  if (JsonDepth(tree) > DefaultLimits().json_depth) {
    return absl::InvalidArgumentError(
        absl::StrCat("the JSON nests deeper than ", DefaultLimits().json_depth, " levels"));
  }
  ABSL_RETURN_IF_ERROR(
      ForEachTemplate(tree, "", [&](const std::string& text, const std::string& pointer) {
        auto parsed = Template::Parse(text);
        if (!parsed.ok()) {
          return Annotate(parsed.status(), absl::StrCat("in the JSON at '", pointer, "'"));
        }
        Merge(parsed->variables(), &result.variables_);
        Merge(parsed->builtins(), &result.builtins_);
        result.templates_.push_back(*std::move(parsed));
        return absl::OkStatus();
      }));
  result.tree_ = std::move(tree);
  return result;
}

absl::StatusOr<RenderedJson> JsonTemplate::Render(const TemplateContext& context) const {
  TreeRenderer renderer(templates_, context);
  ABSL_ASSIGN_OR_RETURN(Json value, renderer.Render(tree_));
  if (JsonDepth(value) > DefaultLimits().json_depth) {
    return absl::ResourceExhaustedError(absl::StrCat("the rendered JSON nests deeper than ",
                                                     DefaultLimits().json_depth, " levels"));
  }
  return RenderedJson{std::move(value), renderer.uses_secret()};
}

absl::StatusOr<RenderedJson> RenderJsonTree(const Json& tree, const TemplateContext& context) {
  ABSL_ASSIGN_OR_RETURN(const JsonTemplate compiled, JsonTemplate::Parse(tree));
  return compiled.Render(context);
}

}  // namespace picket
