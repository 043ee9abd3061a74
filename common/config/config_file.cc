// The YAML side of FlagSet: a flat map of flag names.

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/config/flags.h"

namespace picket {
namespace {

constexpr size_t kConfigFileBytes = 1u << 20;

std::string At(const std::string& path, const YAML::Mark& mark) {
  if (mark.is_null()) return path;
  return absl::StrCat(path, ":", mark.line + 1, ":", mark.column + 1);
}

absl::Status Scalars(const YAML::Node& node, const std::string& where, const std::string& key,
                     std::vector<std::string>& values) {
  if (node.IsScalar()) {
    values.push_back(node.Scalar());
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(where, ": '", key,
                                                 "' must be a single value or a list of them, not ",
                                                 node.IsMap()        ? "a map"
                                                 : node.IsSequence() ? "a list in a list"
                                                                     : "empty"));
}

}  // namespace

absl::Status FlagSet::ReadConfigFile(const std::string& path,
                                     std::map<std::string, FileValue>& values) {
  ABSL_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kConfigFileBytes));
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.empty() || documents[0].IsNull()) return absl::OkStatus();
    if (documents.size() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(At(path, documents[1].Mark()), ": a second YAML document; one is read"));
    }
    if (!documents[0].IsMap()) {
      return absl::InvalidArgumentError(
          absl::StrCat(At(path, documents[0].Mark()), ": expected a map of flag names to values"));
    }
    for (const auto& entry : documents[0]) {
      const std::string where = At(path, entry.first.Mark());
      if (!entry.first.IsScalar()) {
        return absl::InvalidArgumentError(absl::StrCat(where, ": a key must be a flag's name"));
      }
      const std::string key = entry.first.Scalar();
      const Flag* flag = Find(key);
      if (flag == nullptr || !flag->options.file) {
        if (std::count(ignored_keys_.begin(), ignored_keys_.end(), key) > 0) continue;
        std::set<std::string> names;
        for (const Flag& f : flags_) {
          if (f.options.file) names.insert(f.name);
        }
        std::string list;
        for (const std::string& name : names)
          absl::StrAppend(&list, list.empty() ? "" : ", ", name);
        return absl::InvalidArgumentError(
            absl::StrCat(where, ": unknown key '", key, "'; there are: ", list));
      }
      FileValue value;
      value.where = where;
      if (entry.second.IsSequence()) {
        value.is_list = true;
        for (const YAML::Node& element : entry.second) {
          ABSL_RETURN_IF_ERROR(Scalars(element, At(path, element.Mark()), key, value.values));
        }
      } else {
        ABSL_RETURN_IF_ERROR(Scalars(entry.second, where, key, value.values));
      }
      if (!values.emplace(key, std::move(value)).second) {
        return absl::InvalidArgumentError(absl::StrCat(where, ": '", key, "' is there twice"));
      }
    }
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(At(path, error.mark), ": not valid YAML: ", error.msg));
  }
  return absl::OkStatus();
}

}  // namespace picket
