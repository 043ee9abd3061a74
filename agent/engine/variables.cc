#include "agent/engine/variables.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace picket {
namespace {

void AddOnce(absl::string_view name, std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
}

}  // namespace

absl::Status Variables::Start(const CheckJob& job, SecretSource* secrets, absl::Time now) {
  for (const std::string& name : test_.secrets) {
    std::optional<std::string> value = secrets == nullptr ? std::nullopt : secrets->Value(name);
    if (!value.has_value() || value->empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("this agent does not hold the secret ", name, ": set PICKET_SECRET_", name,
                       " or put a file of that name into its --secrets-dir"));
    }
    masker_.AddSecret(*value);
    secrets_[name] = Entry{TemplateValue{Json(*std::move(value)), true}, {name}};
  }
  if (job.row.has_value()) {
    if (static_cast<size_t>(job.row->cells_size()) != job.columns.size()) {
      return absl::InvalidArgumentError(absl::StrCat("the data row has ", job.row->cells_size(),
                                                     " cells for ", job.columns.size(),
                                                     " columns"));
    }
    for (int i = 0; i < job.row->cells_size(); ++i) {
      absl::StatusOr<Json> cell = ParseJson(job.row->cells(i));
      if (!cell.ok()) {
        return Annotate(cell.status(), absl::StrCat("column ", job.columns[i], " of the data row"));
      }
      row_[job.columns[i]] = Entry{TemplateValue{*std::move(cell), false}, {}};
    }
  }
  for (const CompiledVariable& variable : test_.vars) {
    if (!variable.json.constant) {
      ForgetUses();
      auto rendered = variable.json.tree.Render(Context(now));
      if (!rendered.ok()) {
        return Annotate(rendered.status(), absl::StrCat("variable ", variable.name));
      }
      vars_[variable.name] =
          Entry{TemplateValue{std::move(rendered->value), rendered->uses_secret}, used_secrets_};
    }
    ++vars_ready_;
  }
  ForgetUses();
  return absl::OkStatus();
}

void Variables::SetExtracted(const std::string& name, Json value, bool sensitive) {
  // A session's cookie may come back in bodies and addresses. One of a few characters would
  // take harmless text with it.
  constexpr size_t kShortestMasked = 6;
  if (const auto* text = value.get_ptr<const std::string*>();
      sensitive && text != nullptr && text->size() >= kShortestMasked) {
    masker_.AddSecret(*text);
  }
  extracted_[name] = Entry{TemplateValue{std::move(value), sensitive}, {}};
}

const TemplateValue* Variables::Find(absl::string_view name) {
  for (auto* names : {&extracted_, &row_, &vars_, &secrets_}) {
    auto it = names->find(name);
    if (it == names->end()) continue;
    AddOnce(name, used_);
    for (const std::string& secret : it->second.secrets) AddOnce(secret, used_secrets_);
    return &it->second.value;
  }
  for (size_t i = 0; i < vars_ready_; ++i) {
    const CompiledVariable& variable = test_.vars[i];
    if (variable.name == name && variable.json.constant) {
      AddOnce(name, used_);
      return &variable.constant;
    }
  }
  return nullptr;
}

absl::StatusOr<std::string> Variables::Text(const Template& text, absl::Time now, RenderMode mode,
                                            bool* uses_secret) {
  ABSL_ASSIGN_OR_RETURN(Rendered rendered, text.Render(Context(now), mode));
  if (uses_secret != nullptr) *uses_secret |= rendered.uses_secret;
  return std::move(rendered.text);
}

absl::StatusOr<const Json*> Variables::Value(const CompiledJson& json, absl::Time now,
                                             Json* storage) {
  if (json.constant) return &json.value;
  ABSL_ASSIGN_OR_RETURN(RenderedJson rendered, json.tree.Render(Context(now)));
  *storage = std::move(rendered.value);
  return static_cast<const Json*>(storage);
}

void Variables::ForgetUses() {
  used_.clear();
  used_secrets_.clear();
}

}  // namespace picket
