// File: variables.h
//
// The variables of one attempt: extracted > row > vars, and secrets. It remembers which
// names a rendering touched, and which secrets stand behind them, so that evidence can
// show the former and a request can be refused to hosts that the latter are not bound to.
//
// Thread rule: thread-compatible; one owner at a time.

#ifndef AGENT_ENGINE_VARIABLES_H_
#define AGENT_ENGINE_VARIABLES_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/engine/compiled_test.h"
#include "agent/engine/engine.h"
#include "agent/engine/masking.h"
#include "common/base/random.h"
#include "common/expr/template.h"

namespace picket {

class Variables {
  struct Entry {
    TemplateValue value;
    std::vector<std::string> secrets;  // behind it
  };

 public:
  using Extracted = absl::flat_hash_map<std::string, Entry>;

  // `test` and `random` must outlive it.
  Variables(const CompiledTest& test, Random* random) : test_(test), random_(random) {}
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

  // Takes the row and the secrets, then evaluates `vars` in order.
  // FailedPrecondition: a secret that the test uses is not on this machine.
  // InvalidArgument, NotFound, ResourceExhausted: a row or variable has no value.
  absl::Status Start(const CheckJob& job, SecretSource* secrets, absl::Time now);

  // A `sensitive` one (from a cookie, say) is masked and held back like a secret.
  void SetExtracted(const std::string& name, Json value, bool sensitive);
  // All that was extracted so far, to come back to.
  const Extracted& extracted() const { return extracted_; }
  void RestoreExtracted(Extracted extracted) { extracted_ = std::move(extracted); }

  const TemplateValue* Find(absl::string_view name);

  TemplateContext Context(absl::Time now) { return TemplateContext{finder_, now, random_}; }
  absl::StatusOr<std::string> Text(const Template& text, absl::Time now, RenderMode mode,
                                   bool* uses_secret = nullptr);
  // A constant is returned as it is, without a copy; else `*storage` receives the value.
  absl::StatusOr<const Json*> Value(const CompiledJson& json, absl::Time now, Json* storage);

  // Since the last ForgetUses: names looked up that were found, in order, each once; and
  // secrets among or behind them.
  const std::vector<std::string>& used() const { return used_; }
  const std::vector<std::string>& used_secrets() const { return used_secrets_; }
  void ForgetUses();

  const Masker& masker() const { return masker_; }

 private:
  struct Finder {
    Variables* self;
    const TemplateValue* operator()(absl::string_view name) const { return self->Find(name); }
  };

  const CompiledTest& test_;
  Random* const random_;
  Finder finder_{this};
  absl::flat_hash_map<std::string, Entry> extracted_, row_, vars_, secrets_;
  size_t vars_ready_ = 0;  // vars before this one have a value
  std::vector<std::string> used_, used_secrets_;
  Masker masker_;
};

}  // namespace picket

#endif  // AGENT_ENGINE_VARIABLES_H_
