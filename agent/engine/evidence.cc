#include "agent/engine/evidence.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/engine/curl_line.h"
#include "agent/engine/limits.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

constexpr int kAlternativeNamesMost = 50;

std::string Clean(const Masker& masker, absl::string_view text, size_t most) {
  return CleanText(masker.Mask(text, most + 1), most);
}

// A start line and fields, the sensitive ones masked whole.
std::string HeadText(const RenderedRequest& request, const Masker& masker,
                     absl::string_view start_line, const HeaderList& fields, size_t most) {
  std::string out = absl::StrCat(masker.Mask(start_line), "\n");
  for (const auto& [name, value] : fields) {
    absl::StrAppend(&out, name, ": ", IsMaskedField(request, name) ? kMask : masker.Mask(value),
                    "\n");
    if (out.size() > most) break;
  }
  return CleanText(out, most);
}

// `head` as it went out, split into its lines; a continuation belongs to its field.
void SplitHead(absl::string_view head, std::string& start_line, HeaderList& fields) {
  bool first = true;
  for (absl::string_view line : absl::StrSplit(head, '\n')) {
    absl::ConsumeSuffix(&line, "\r");
    if (first) {
      start_line = std::string(line);
      first = false;
      continue;
    }
    if (line.empty()) continue;
    const size_t colon = line.find(':');
    if (colon == 0 || colon == absl::string_view::npos) {
      if (!fields.empty()) absl::StrAppend(&fields.back().second, " ", line);
      continue;
    }
    absl::string_view value = line.substr(colon + 1);
    absl::ConsumePrefix(&value, " ");
    fields.emplace_back(std::string(line.substr(0, colon)), std::string(value));
  }
}

std::string RequestText(const RenderedRequest& request, const TransferRequest& transfer,
                        const TransferResult& result, const Masker& masker) {
  const size_t most = DefaultEngineLimits().request_text_bytes;
  std::string start_line;
  HeaderList fields;
  if (!result.request_head.empty()) {
    SplitHead(result.request_head, start_line, fields);
  } else {
    start_line = absl::StrCat(transfer.method, " ", transfer.url);
    fields = transfer.headers;
  }
  return HeadText(request, masker, start_line, fields, most);
}

void AddCertificates(const TransferResult& result, v1::Evidence& evidence) {
  const size_t most = DefaultEngineLimits().evidence_certificates;
  for (const v1::Certificate& certificate : result.certificates) {
    if (static_cast<size_t>(evidence.certificates_size()) >= most) return;
    v1::Certificate& added = *evidence.add_certificates();
    added = certificate;
    if (added.subject_alternative_names_size() > kAlternativeNamesMost) {
      added.mutable_subject_alternative_names()->DeleteSubrange(
          kAlternativeNamesMost, added.subject_alternative_names_size() - kAlternativeNamesMost);
    }
  }
}

void AddVariables(Variables& variables, v1::Evidence& evidence) {
  const EngineLimits& limits = DefaultEngineLimits();
  const std::vector<std::string> names = variables.used();
  for (const std::string& name : names) {
    if (static_cast<size_t>(evidence.variables_size()) >= limits.evidence_variables) return;
    const TemplateValue* value = variables.Find(name);
    if (value == nullptr) continue;
    v1::NameValue& pair = *evidence.add_variables();
    pair.set_name(name);
    pair.set_value(value->secret ? kMask
                                 : Clean(variables.masker(), ToPlainText(value->value),
                                         limits.variable_text_bytes));
  }
}

// Least needed first, until it fits.
void Fit(v1::Evidence& evidence) {
  const size_t most = DefaultLimits().evidence_bytes;
  if (evidence.ByteSizeLong() <= most) return;
  evidence.clear_certificates();
  if (evidence.ByteSizeLong() <= most) return;
  evidence.clear_variables();
  if (evidence.ByteSizeLong() <= most) return;
  evidence.clear_body_excerpt();
  evidence.set_body_truncated(true);
}

}  // namespace

v1::Evidence MakeEvidence(const CompiledStep& step, const RenderedRequest& request,
                          const TransferRequest& transfer, const TransferResult& result,
                          Variables& variables) {
  const EngineLimits& limits = DefaultEngineLimits();
  const Masker& masker = variables.masker();
  v1::Evidence evidence;
  AddVariables(variables, evidence);
  evidence.set_request(RequestText(request, transfer, result, masker));
  if (result.status != 0 || !result.status_line.empty()) {
    evidence.set_response(
        HeadText(request, masker, result.status_line, result.headers, limits.response_text_bytes));
  }
  const std::string excerpt = masker.Mask(result.body, limits.body_excerpt_bytes + 1);
  evidence.set_body_excerpt(CleanText(excerpt, limits.body_excerpt_bytes, false));
  evidence.set_body_truncated(result.body.size() > limits.body_excerpt_bytes);
  AddCertificates(result, evidence);
  evidence.set_curl(CurlLine(step, request, transfer, result.address, masker));
  Fit(evidence);
  return evidence;
}

}  // namespace picket
