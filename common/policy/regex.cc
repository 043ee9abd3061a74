#include "common/policy/regex.h"

#include <re2/re2.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

re2::StringPiece Piece(absl::string_view text) { return {text.data(), text.size()}; }

class Re2Regex : public Regex {
 public:
  explicit Re2Regex(std::unique_ptr<RE2> re) : re_(std::move(re)) {}

  bool Search(absl::string_view text) const override {
    return RE2::PartialMatch(Piece(text), *re_);
  }
  bool FullMatch(absl::string_view text) const override {
    return RE2::FullMatch(Piece(text), *re_);
  }
  int groups() const override { return re_->NumberOfCapturingGroups(); }
  std::optional<std::string> Group(absl::string_view text, int n) const override {
    std::vector<re2::StringPiece> found(static_cast<size_t>(n) + 1);
    if (!re_->Match(Piece(text), 0, text.size(), RE2::UNANCHORED, found.data(), n + 1)) {
      return std::nullopt;
    }
    if (found[n].data() == nullptr) return std::nullopt;
    return std::string(found[n].data(), found[n].size());
  }

 private:
  std::unique_ptr<RE2> re_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Regex>> Regex::Compile(absl::string_view pattern) {
  const Limits& limits = DefaultLimits();
  if (pattern.size() > limits.regex_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("the regular expression has ", pattern.size(),
                                                   " bytes; at most ", limits.regex_bytes,
                                                   " are allowed"));
  }
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(limits.regex_memory_bytes);
  auto re = std::make_unique<RE2>(Piece(pattern), options);
  if (!re->ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the regular expression '", pattern, "' is not valid RE2: ", re->error()));
  }
  return std::make_shared<const Re2Regex>(std::move(re));
}

}  // namespace picket
