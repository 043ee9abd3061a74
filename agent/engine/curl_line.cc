#include "agent/engine/curl_line.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "agent/engine/limits.h"
#include "common/expr/json.h"

namespace picket {
namespace {

void AddHeaders(const RenderedRequest& request, const TransferRequest& transfer,
                const Masker& masker, std::string& line) {
  for (const auto& [name, value] : transfer.headers) {
    // curl signs for itself.
    if (request.sigv4.has_value() && (absl::EqualsIgnoreCase(name, "authorization") ||
                                      absl::StartsWithIgnoreCase(name, "x-amz-"))) {
      continue;
    }
    const std::string shown = IsMaskedField(request, name) ? kMask : masker.Mask(value);
    // "name:" alone would remove the field; "name;" sends it empty.
    absl::StrAppend(
        &line, " -H ",
        ShellWord(shown.empty() ? absl::StrCat(name, ";") : absl::StrCat(name, ": ", shown)));
  }
}

void AddBody(const TransferRequest& transfer, const Masker& masker, std::string& line) {
  if (!transfer.body.has_value()) return;
  if (transfer.body->size() > DefaultEngineLimits().curl_body_bytes ||
      absl::StrContains(*transfer.body, '\0')) {
    absl::StrAppend(&line, " --data-binary @BODY");
    return;
  }
  absl::StrAppend(&line, " --data-raw ", ShellWord(masker.Mask(*transfer.body)));
}

void AddTls(const RenderedRequest& request, std::string& line) {
  if (request.url.scheme != "https") return;
  if (!request.tls.verify) absl::StrAppend(&line, " -k");
  if (request.tls.ca != nullptr) absl::StrAppend(&line, " --cacert CA_FILE");
  if (request.tls.cert != nullptr) absl::StrAppend(&line, " --cert CERT_FILE");
  if (request.tls.key != nullptr) absl::StrAppend(&line, " --key KEY_FILE");
  if (!request.tls.min_version.empty()) {
    absl::StrAppend(&line, " --tlsv", request.tls.min_version);
  }
}

void AddAddress(const RenderedRequest& request, absl::string_view address, std::string& line) {
  if (!request.proxy.empty()) return;
  if (auto it = request.resolve.find(request.url.host);
      address.empty() && it != request.resolve.end()) {
    address = it->second;
  }
  if (address.empty() || address == request.url.host) return;
  const std::string shown =
      absl::StrContains(address, ':') ? absl::StrCat("[", address, "]") : std::string(address);
  absl::StrAppend(&line, " --resolve ",
                  ShellWord(absl::StrCat(request.url.host, ":", request.url.port, ":", shown)));
}

}  // namespace

std::string ShellWord(absl::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  bool plain = IsValidUtf8(text);
  for (unsigned char c : text) plain &= c >= 0x20 && c != 0x7f;
  if (plain) return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
  const bool utf8 = IsValidUtf8(text);
  std::string out = "$'";
  for (unsigned char c : text) {
    if (c == '\'' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8)) {
      out += {'\\', 'x', kHex[c >> 4], kHex[c & 15]};
    } else {
      out += static_cast<char>(c);
    }
  }
  return absl::StrCat(out, "'");
}

bool IsMaskedField(const RenderedRequest& request, absl::string_view name) {
  if (IsSensitiveHeader(name)) return true;
  for (const RenderedHeader& header : request.headers) {
    if (header.secret && absl::EqualsIgnoreCase(header.name, name)) return true;
  }
  return false;
}

std::string CurlLine(const CompiledStep& step, const RenderedRequest& request,
                     const TransferRequest& transfer, absl::string_view address,
                     const Masker& masker) {
  std::string line = "curl -sS -i";
  if (transfer.method == "HEAD") {
    absl::StrAppend(&line, " --head");
  } else if (transfer.method != "GET" || transfer.body.has_value()) {
    absl::StrAppend(&line, " -X ", ShellWord(transfer.method));
  }
  if (transfer.http_version == v1::HttpCheck::HTTP_1_1) absl::StrAppend(&line, " --http1.1");
  if (transfer.http_version == v1::HttpCheck::HTTP_2) absl::StrAppend(&line, " --http2");
  if (transfer.ip_version == v1::HttpCheck::IPV4) absl::StrAppend(&line, " -4");
  if (transfer.ip_version == v1::HttpCheck::IPV6) absl::StrAppend(&line, " -6");
  if (transfer.compressed) absl::StrAppend(&line, " --compressed");
  if (request.digest.has_value()) absl::StrAppend(&line, " --digest -u '***'");
  if (request.sigv4.has_value()) {
    absl::StrAppend(&line, " --aws-sigv4 ",
                    ShellWord(masker.Mask(absl::StrCat("aws:amz:", request.sigv4->region, ":",
                                                       request.sigv4->service))),
                    " -u '***'");
  }
  AddTls(request, line);
  if (!request.proxy.empty()) {
    absl::StrAppend(&line, " -x ", ShellWord(masker.Mask(request.proxy)));
  }
  AddAddress(request, address, line);
  AddHeaders(request, transfer, masker, line);
  AddBody(transfer, masker, line);
  absl::StrAppend(&line, " ", ShellWord(masker.Mask(transfer.url)));
  return CleanText(line, DefaultEngineLimits().curl_line_bytes);
}

}  // namespace picket
