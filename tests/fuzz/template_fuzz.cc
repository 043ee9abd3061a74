// A template; its variables hold hostile values.

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "common/expr/template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  const std::string text(reinterpret_cast<const char*>(data), size);
  size_t offset = 0;
  const auto parsed = Template::Parse(text, &offset);
  if (!parsed.ok()) {
    PICKET_CHECK(offset <= text.size());
    return 0;
  }
  TemplateValue value{.value = Json("a b\r\n{{ uuid }}"), .secret = size % 2 == 0};
  Random random(1), again(1);
  TemplateContext context{.lookup = [&](absl::string_view) { return &value; },
                          .now = absl::FromUnixSeconds(1'790'000'000),
                          .random = &random};
  for (RenderMode mode : {RenderMode::kText, RenderMode::kUrl, RenderMode::kQuery, RenderMode::kHeader}) {
    const auto rendered = parsed->Render(context, mode);
    if (!rendered.ok()) continue;
    if (mode == RenderMode::kHeader) {
      PICKET_CHECK(rendered->text.find('\n') == std::string::npos);
    }
    if (!parsed->variables().empty()) PICKET_CHECK(rendered->uses_secret == value.secret);
    if (parsed->is_literal() && mode == RenderMode::kText) {
      PICKET_CHECK(parsed->variables().empty() && parsed->builtins().empty());
    }
  }
  (void)parsed->RenderJson(context);
  return 0;
}
