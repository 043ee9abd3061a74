#include "common/expr/json_schema.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/expr/json_schema_node.h"

namespace picket {
namespace {

class CompiledSchema : public JsonSchema {
 public:
  explicit CompiledSchema(schema::Document document) : document_(std::move(document)) {}

  absl::StatusOr<Result> Validate(const Json& instance, size_t steps_most) const override {
    return schema::ValidateInstance(document_, instance, steps_most);
  }

 private:
  const schema::Document document_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const JsonSchema>> JsonSchema::Compile(const Json& schema,
                                                                      Draft draft) {
  ABSL_ASSIGN_OR_RETURN(schema::Document document, schema::CompileDocument(schema, draft));
  return std::make_shared<const CompiledSchema>(std::move(document));
}

}  // namespace picket
