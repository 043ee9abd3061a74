#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/expr/json_schema_draft.h"
#include "common/expr/json_schema_keyword_reader.h"
#include "common/expr/json_schema_node.h"
#include "common/expr/uri.h"
#include "common/policy/limits.h"

namespace picket::schema {
namespace {

using Draft = JsonSchema::Draft;

constexpr int kDraft7 = 1;
constexpr int kDraft2020 = 2;
constexpr int kBoth = kDraft7 | kDraft2020;

class Compiler : private KeywordReader {
 public:
  explicit Compiler(Draft draft) : draft_(draft) {}

  absl::StatusOr<Document> Run(const Json& schema) {
    if (JsonDepth(schema) > DefaultLimits().json_depth) {
      return absl::InvalidArgumentError(absl::StrCat("the JSON Schema nests deeper than ",
                                                     DefaultLimits().json_depth, " levels"));
    }
    if (const Json* dialect = FindMember(schema, "$schema")) {
      ABSL_RETURN_IF_ERROR(SetDraft(*dialect));
    }
    ABSL_ASSIGN_OR_RETURN(document_.root, CompileSchema(schema, "", Scope{}));
    resources_.try_emplace("", "");
    for (const Reference& reference : references_) ABSL_RETURN_IF_ERROR(Resolve(reference));
    return std::move(document_);
  }

 private:
  struct Reference {
    Node* from;
    std::string pointer;  // of the $ref
    std::string text;
    UriReference target;
  };

  using Handler = absl::Status (Compiler::*)(const Json&, const std::string& pointer, const Scope&,
                                             Node*);
  struct Keyword {
    absl::string_view name;
    int drafts;
    Handler handler;
  };

  absl::Status SetDraft(const Json& dialect) {
    const std::optional<Draft> draft = DraftOf(dialect);
    if (!draft.has_value()) return Fail("/$schema", UnknownDraft(dialect));
    draft_ = *draft;
    return absl::OkStatus();
  }

  static const std::vector<Keyword>& Keywords();

  const Keyword* FindKeyword(absl::string_view name) const {
    const int bit = draft_ == Draft::k7 ? kDraft7 : kDraft2020;
    for (const Keyword& keyword : Keywords()) {
      if (keyword.name == name && (keyword.drafts & bit) != 0) return &keyword;
    }
    return nullptr;
  }

  absl::StatusOr<const Node*> CompileSchema(const Json& schema, const std::string& pointer,
                                            Scope scope) override {
    document_.nodes.push_back(std::make_unique<Node>());
    Node* node = document_.nodes.back().get();
    node->pointer = pointer;
    by_pointer_[pointer] = node;
    if (schema.is_boolean()) {
      node->boolean = schema.get<bool>();
      return node;
    }
    if (!schema.is_object()) {
      return Fail(pointer, absl::StrCat("expected an object, true or false, but found ",
                                        JsonTypeName(schema)));
    }
    const bool ref_only = draft_ == Draft::k7 && FindMember(schema, "$ref") != nullptr;
    node->ref_only = ref_only;
    if (!ref_only) ABSL_RETURN_IF_ERROR(Identify(schema, pointer, &scope, node));
    for (const auto& [name, value] : *schema.get_ptr<const Json::object_t*>()) {
      const std::string below = absl::StrCat(pointer, "/", PointerToken(name));
      const Keyword* keyword = FindKeyword(name);
      if (keyword == nullptr) return Fail(below, UnknownKeyword(name, draft_));
      if (keyword->handler == nullptr) continue;
      if (ref_only && name != "$ref" && name != "definitions") continue;
      ABSL_RETURN_IF_ERROR((this->*keyword->handler)(value, below, scope, node));
    }
    return node;
  }

  // $id and $anchor, which are needed before anything below is looked at.
  absl::Status Identify(const Json& schema, const std::string& pointer, Scope* scope, Node* node) {
    if (const Json* id = FindMember(schema, "$id")) {
      const auto* text = id->get_ptr<const std::string*>();
      if (text == nullptr) return Fail(pointer + "/$id", "expected a URI reference");
      const UriReference uri = ResolveUri(scope->base, *text);
      if (!uri.fragment.empty()) {
        if (draft_ != Draft::k7) {
          return Fail(pointer + "/$id", "a fragment is not allowed here; use $anchor");
        }
        ABSL_RETURN_IF_ERROR(AddAnchor(uri.without_fragment, uri.fragment, pointer, node));
      }
      if (!absl::StartsWith(*text, "#")) {
        scope->base = uri.without_fragment;
        if (!resources_.try_emplace(scope->base, pointer).second) {
          return Fail(pointer + "/$id", absl::StrCat("'", scope->base, "' is used twice"));
        }
      }
    } else if (pointer.empty()) {
      resources_[""] = "";
    }
    if (const Json* anchor = FindMember(schema, "$anchor"); anchor && draft_ != Draft::k7) {
      const auto* name = anchor->get_ptr<const std::string*>();
      if (name == nullptr || name->empty() || absl::StrContains(*name, '/')) {
        return Fail(pointer + "/$anchor", "expected a name");
      }
      ABSL_RETURN_IF_ERROR(AddAnchor(scope->base, *name, pointer, node));
    }
    if (const Json* dialect = FindMember(schema, "$schema"); dialect && !pointer.empty()) {
      const auto* uri = dialect->get_ptr<const std::string*>();
      if (uri == nullptr || DraftOf(*uri) != draft_) {
        return Fail(pointer + "/$schema", "one document cannot mix drafts");
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddAnchor(const std::string& base, const std::string& name,
                         const std::string& pointer, Node* node) {
    if (anchors_.try_emplace(absl::StrCat(base, "#", name), node).second) {
      return absl::OkStatus();
    }
    return Fail(pointer, absl::StrCat("the anchor '", name, "' is used twice"));
  }

  absl::Status Resolve(const Reference& reference) {
    const auto resource = resources_.find(reference.target.without_fragment);
    if (resource == resources_.end()) {
      return Fail(reference.pointer, absl::StrCat("'", reference.text,
                                                  "' leaves this document, and references are "
                                                  "not fetched; copy its target into $defs"));
    }
    const std::string& fragment = reference.target.fragment;
    if (fragment.empty() || fragment[0] == '/') {
      const auto target = by_pointer_.find(resource->second + fragment);
      if (target != by_pointer_.end()) {
        reference.from->ref = target->second;
        return absl::OkStatus();
      }
    } else {
      const auto target =
          anchors_.find(absl::StrCat(reference.target.without_fragment, "#", fragment));
      if (target != anchors_.end()) {
        reference.from->ref = target->second;
        return absl::OkStatus();
      }
    }
    return Fail(reference.pointer, absl::StrCat("'", reference.text, "' refers to no schema"));
  }

  // Handlers, one a keyword or a family of them.

  template <std::optional<uint64_t> Node::*kMember>
  absl::Status Count(const Json& value, const std::string& pointer, const Scope&, Node* node) {
    return ReadCount(value, pointer, &(node->*kMember));
  }

  template <std::optional<Json> Node::*kMember>
  absl::Status Number(const Json& value, const std::string& pointer, const Scope&, Node* node) {
    return ReadNumber(value, pointer, &(node->*kMember));
  }

  template <const Node* Node::*kMember>
  absl::Status Schema(const Json& value, const std::string& pointer, const Scope& scope,
                      Node* node) {
    ABSL_ASSIGN_OR_RETURN(node->*kMember, CompileSchema(value, pointer, scope));
    return absl::OkStatus();
  }

  template <std::vector<const Node*> Node::*kMember>
  absl::Status Schemas(const Json& value, const std::string& pointer, const Scope& scope,
                       Node* node) {
    ABSL_ASSIGN_OR_RETURN(node->*kMember, ReadSchemas(value, pointer, scope));
    return absl::OkStatus();
  }

  absl::Status Text(const Json& value, const std::string& pointer, const Scope&, Node*) {
    return value.is_string() ? absl::OkStatus() : Fail(pointer, "expected a string");
  }

  absl::Status Flag(const Json& value, const std::string& pointer, const Scope&, Node*) {
    return value.is_boolean() ? absl::OkStatus() : Fail(pointer, "expected true or false");
  }

  absl::Status Unique(const Json& value, const std::string& pointer, const Scope& scope,
                      Node* node) {
    ABSL_RETURN_IF_ERROR(Flag(value, pointer, scope, node));
    node->unique_items = value.get<bool>();
    return absl::OkStatus();
  }

  absl::Status Ref(const Json& value, const std::string& pointer, const Scope& scope, Node* node) {
    const auto* text = value.get_ptr<const std::string*>();
    if (text == nullptr) return Fail(pointer, "expected a URI reference");
    references_.push_back({node, pointer, *text, ResolveUri(scope.base, *text)});
    return absl::OkStatus();
  }

  absl::Status Definitions(const Json& value, const std::string& pointer, const Scope& scope,
                           Node*) {
    return ReadSchemaMap(value, pointer, scope).status();
  }

  absl::Status Annotated(const Json& value, const std::string& pointer, const Scope& scope, Node*) {
    return CompileSchema(value, pointer, scope).status();
  }

  absl::Status Types(const Json& value, const std::string& pointer, const Scope&, Node* node) {
    static constexpr absl::string_view kNames[] = {"null",   "boolean", "integer", "number",
                                                   "string", "array",   "object"};
    const Json list = value.is_array() ? value : Json::array({value});
    for (const Json& entry : list) {
      const auto* name = entry.get_ptr<const std::string*>();
      const auto* found = name == nullptr ? std::end(kNames)
                                          : std::find(std::begin(kNames), std::end(kNames), *name);
      if (found == std::end(kNames)) {
        return Fail(pointer, absl::StrCat("expected null, boolean, integer, number, string, "
                                          "array or object, but found ",
                                          ToText(entry)));
      }
      node->types |= static_cast<uint8_t>(1 << (found - std::begin(kNames)));
    }
    if (node->types == 0) return Fail(pointer, "expected at least one type");
    return absl::OkStatus();
  }

  absl::Status Constant(const Json& value, const std::string&, const Scope&, Node* node) {
    node->constant = value;
    return absl::OkStatus();
  }

  absl::Status Enumeration(const Json& value, const std::string& pointer, const Scope&,
                           Node* node) {
    const auto* values = value.get_ptr<const Json::array_t*>();
    if (values == nullptr) return Fail(pointer, "expected an array");
    node->enumeration = *values;
    return absl::OkStatus();
  }

  absl::Status Multiple(const Json& value, const std::string& pointer, const Scope&, Node* node) {
    ABSL_RETURN_IF_ERROR(ReadNumber(value, pointer, &node->multiple_of));
    if (CompareNumbers(value, Json(0)) > 0) return absl::OkStatus();
    return Fail(pointer, "expected a number above 0");
  }

  absl::Status Pattern(const Json& value, const std::string& pointer, const Scope&, Node* node) {
    const auto* text = value.get_ptr<const std::string*>();
    if (text == nullptr) return Fail(pointer, "expected a regular expression");
    node->pattern_text = *text;
    ABSL_ASSIGN_OR_RETURN(node->pattern, ReadPattern(*text, pointer));
    return absl::OkStatus();
  }

  absl::Status Items(const Json& value, const std::string& pointer, const Scope& scope,
                     Node* node) {
    if (!value.is_array()) {
      return Schema<&Node::items>(value, pointer, scope, node);
    }
    if (draft_ != Draft::k7) {
      return Fail(pointer, "expected one schema; draft 2020-12 says prefixItems for an array");
    }
    node->tuple = true;
    if (value.empty()) return absl::OkStatus();
    return Schemas<&Node::prefix_items>(value, pointer, scope, node);
  }

  absl::Status AdditionalItems(const Json& value, const std::string& pointer, const Scope& scope,
                               Node* node) {
    ABSL_ASSIGN_OR_RETURN(const Node* rest, CompileSchema(value, pointer, scope));
    additional_items_.emplace_back(node, rest);
    return absl::OkStatus();
  }

  absl::Status Required(const Json& value, const std::string& pointer, const Scope&, Node* node) {
    ABSL_ASSIGN_OR_RETURN(node->required, ReadNames(value, pointer));
    return absl::OkStatus();
  }

  absl::Status Properties(const Json& value, const std::string& pointer, const Scope& scope,
                          Node* node) {
    ABSL_ASSIGN_OR_RETURN(auto nodes, ReadSchemaMap(value, pointer, scope));
    node->properties.insert(nodes.begin(), nodes.end());
    return absl::OkStatus();
  }

  absl::Status PatternProperties(const Json& value, const std::string& pointer, const Scope& scope,
                                 Node* node) {
    ABSL_ASSIGN_OR_RETURN(auto nodes, ReadSchemaMap(value, pointer, scope));
    for (const auto& [pattern, schema] : nodes) {
      ABSL_ASSIGN_OR_RETURN(auto regex, ReadPattern(pattern, schema->pointer));
      node->pattern_properties.emplace_back(std::move(regex), schema);
    }
    return absl::OkStatus();
  }

  absl::Status DependentRequired(const Json& value, const std::string& pointer, const Scope&,
                                 Node* node) {
    const auto* members = value.get_ptr<const Json::object_t*>();
    if (members == nullptr) return Fail(pointer, "expected an object of arrays of names");
    for (const auto& [name, names] : *members) {
      ABSL_ASSIGN_OR_RETURN(auto list,
                            ReadNames(names, absl::StrCat(pointer, "/", PointerToken(name))));
      node->dependent_required.emplace_back(name, std::move(list));
    }
    return absl::OkStatus();
  }

  absl::Status DependentSchemas(const Json& value, const std::string& pointer, const Scope& scope,
                                Node* node) {
    ABSL_ASSIGN_OR_RETURN(node->dependent_schemas, ReadSchemaMap(value, pointer, scope));
    return absl::OkStatus();
  }

  // Draft 7, and still allowed by 2020-12: names or a schema for each property.
  absl::Status Dependencies(const Json& value, const std::string& pointer, const Scope& scope,
                            Node* node) {
    const auto* members = value.get_ptr<const Json::object_t*>();
    if (members == nullptr) return Fail(pointer, "expected an object");
    for (const auto& [name, dependency] : *members) {
      const std::string below = absl::StrCat(pointer, "/", PointerToken(name));
      if (dependency.is_array()) {
        ABSL_ASSIGN_OR_RETURN(auto list, ReadNames(dependency, below));
        node->dependent_keyword = "dependencies";
        node->dependent_required.emplace_back(name, std::move(list));
      } else {
        ABSL_ASSIGN_OR_RETURN(const Node* schema, CompileSchema(dependency, below, scope));
        node->dependent_schemas.emplace_back(name, schema);
      }
    }
    return absl::OkStatus();
  }

 public:
  // additionalItems speaks only beside an array of items, whichever comes first.
  void ApplyAdditionalItems() {
    for (const auto& [node, rest] : additional_items_) {
      if (node->tuple) node->items = rest;
    }
  }

 private:
  Draft draft_;
  Document document_;
  std::vector<Reference> references_;
  std::vector<std::pair<Node*, const Node*>> additional_items_;
  absl::flat_hash_map<std::string, const Node*> by_pointer_;
  absl::flat_hash_map<std::string, std::string> resources_;  // base URI → pointer of its root
  absl::flat_hash_map<std::string, const Node*> anchors_;    // base URI#name
};

const std::vector<Compiler::Keyword>& Compiler::Keywords() {
  static const auto& keywords = *new std::vector<Keyword>{
      // Read by Run and Identify.
      {"$schema", kBoth, nullptr},
      {"$id", kBoth, nullptr},
      {"$anchor", kDraft2020, nullptr},
      // Annotations.
      {"$comment", kBoth, &Compiler::Text},
      {"title", kBoth, &Compiler::Text},
      {"description", kBoth, &Compiler::Text},
      {"default", kBoth, nullptr},
      {"examples", kBoth, nullptr},
      {"readOnly", kBoth, &Compiler::Flag},
      {"writeOnly", kBoth, &Compiler::Flag},
      {"deprecated", kDraft2020, &Compiler::Flag},
      {"format", kBoth, &Compiler::Text},
      {"contentMediaType", kBoth, &Compiler::Text},
      {"contentEncoding", kBoth, &Compiler::Text},
      {"contentSchema", kDraft2020, &Compiler::Annotated},
      // Structure.
      {"$ref", kBoth, &Compiler::Ref},
      {"$defs", kDraft2020, &Compiler::Definitions},
      {"definitions", kBoth, &Compiler::Definitions},
      // Any instance.
      {"type", kBoth, &Compiler::Types},
      {"const", kBoth, &Compiler::Constant},
      {"enum", kBoth, &Compiler::Enumeration},
      {"allOf", kBoth, &Compiler::Schemas<&Node::all_of>},
      {"anyOf", kBoth, &Compiler::Schemas<&Node::any_of>},
      {"oneOf", kBoth, &Compiler::Schemas<&Node::one_of>},
      {"not", kBoth, &Compiler::Schema<&Node::negated>},
      {"if", kBoth, &Compiler::Schema<&Node::condition>},
      {"then", kBoth, &Compiler::Schema<&Node::consequence>},
      {"else", kBoth, &Compiler::Schema<&Node::alternative>},
      // Numbers.
      {"multipleOf", kBoth, &Compiler::Multiple},
      {"maximum", kBoth, &Compiler::Number<&Node::maximum>},
      {"exclusiveMaximum", kBoth, &Compiler::Number<&Node::exclusive_maximum>},
      {"minimum", kBoth, &Compiler::Number<&Node::minimum>},
      {"exclusiveMinimum", kBoth, &Compiler::Number<&Node::exclusive_minimum>},
      // Strings.
      {"maxLength", kBoth, &Compiler::Count<&Node::max_length>},
      {"minLength", kBoth, &Compiler::Count<&Node::min_length>},
      {"pattern", kBoth, &Compiler::Pattern},
      // Arrays.
      {"prefixItems", kDraft2020, &Compiler::Schemas<&Node::prefix_items>},
      {"items", kBoth, &Compiler::Items},
      {"additionalItems", kDraft7, &Compiler::AdditionalItems},
      {"maxItems", kBoth, &Compiler::Count<&Node::max_items>},
      {"minItems", kBoth, &Compiler::Count<&Node::min_items>},
      {"uniqueItems", kBoth, &Compiler::Unique},
      {"contains", kBoth, &Compiler::Schema<&Node::contains>},
      {"maxContains", kDraft2020, &Compiler::Count<&Node::max_contains>},
      {"minContains", kDraft2020, &Compiler::Count<&Node::min_contains>},
      // Objects.
      {"maxProperties", kBoth, &Compiler::Count<&Node::max_properties>},
      {"minProperties", kBoth, &Compiler::Count<&Node::min_properties>},
      {"required", kBoth, &Compiler::Required},
      {"properties", kBoth, &Compiler::Properties},
      {"patternProperties", kBoth, &Compiler::PatternProperties},
      {"additionalProperties", kBoth, &Compiler::Schema<&Node::additional_properties>},
      {"propertyNames", kBoth, &Compiler::Schema<&Node::property_names>},
      {"dependencies", kBoth, &Compiler::Dependencies},
      {"dependentRequired", kDraft2020, &Compiler::DependentRequired},
      {"dependentSchemas", kDraft2020, &Compiler::DependentSchemas},
  };
  return keywords;
}

}  // namespace

absl::StatusOr<Document> CompileDocument(const Json& schema, JsonSchema::Draft draft) {
  Compiler compiler(draft);
  auto document = compiler.Run(schema);
  compiler.ApplyAdditionalItems();
  return document;
}

}  // namespace picket::schema
