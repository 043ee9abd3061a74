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
    // curl signs for itself, at its own time.
    if (request.sigv4.has_value() && (absl::EqualsIgnoreCase(name, "authorization") ||
                                      absl::EqualsIgnoreCase(name, "x-amz-date"))) {
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
  if (request.tls.min_version == "1.0" || request.tls.min_version == "1.1") {
    absl::StrAppend(&line, " --ciphers 'DEFAULT:@SECLEVEL=0'");
  }
}

std::string Bracketed(absl::string_view host) {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : std::string(host);
}

// curl asks for the certificate of the URL's host: is another one to stand there?
bool AsksForAnotherName(const RenderedRequest& request) {
  return request.url.scheme == "https" && request.proxy.empty() &&
         !request.tls.server_name.empty() && request.tls.server_name != request.url.host;
}

// The test's URL, and how its host is reached and told where another name stands in it.
std::string AddOtherName(const RenderedRequest& request, const TransferRequest& transfer,
                         absl::string_view address, std::string& line) {
  if (!AsksForAnotherName(request)) return transfer.url;
  Url url = request.url;
  url.host = request.tls.server_name;
  if (address.empty()) {
    absl::StrAppend(&line, " --connect-to ",
                    ShellWord(absl::StrCat(url.host, ":", url.port, ":",
                                           Bracketed(request.url.host), ":", url.port)));
  }
  bool told = false;
  for (const auto& header : transfer.headers) told |= absl::EqualsIgnoreCase(header.first, "host");
  if (!told) {
    absl::StrAppend(&line, " -H ", ShellWord(absl::StrCat("Host: ", HostAndPort(request.url))));
  }
  return ToText(url);
}

// Nobody is to read the password in a URL, whether it came from the suite or from the
// agent's environment.
std::string WithoutUser(absl::string_view proxy) {
  const size_t scheme = proxy.find("://");
  const size_t begin = scheme == absl::string_view::npos ? 0 : scheme + 3;
  const size_t at = proxy.rfind('@');
  if (at == absl::string_view::npos || at < begin) return std::string(proxy);
  return absl::StrCat(proxy.substr(0, begin), kMask, proxy.substr(at));
}

// What curl would make of the URL if it were not told to leave it.
void AddUrlCare(absl::string_view url, std::string& line) {
  if (url.find_first_of("[]{}") != absl::string_view::npos) absl::StrAppend(&line, " -g");
  if (absl::StrContains(url, "/.")) absl::StrAppend(&line, " --path-as-is");
}

// The address that was used, or else that the test gives.
absl::string_view AddressOf(const RenderedRequest& request, absl::string_view used) {
  const auto it = request.resolve.find(request.url.host);
  return used.empty() && it != request.resolve.end() ? it->second : used;
}

void AddAddress(const RenderedRequest& request, absl::string_view address, std::string& line) {
  if (!request.proxy.empty()) return;
  const std::string& host =
      AsksForAnotherName(request) ? request.tls.server_name : request.url.host;
  if (address.empty() || address == host) return;
  absl::StrAppend(&line, " --resolve ",
                  ShellWord(absl::StrCat(host, ":", request.url.port, ":", Bracketed(address))));
}

}  // namespace

std::string ShellWord(absl::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  bool plain = IsValidUtf8(text);
  for (unsigned char c : text) plain &= c >= 0x20 && c != 0x7f;
  for (size_t i = 0; plain && i + 1 < text.size(); ++i) {
    // The controls from U+0080 on, which no text that is shown may hold.
    plain = text[i] != '\xC2' || static_cast<unsigned char>(text[i + 1]) >= 0xA0;
  }
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
  if (transfer.http_version == v1::HttpCheck::HTTP_2) {
    absl::StrAppend(&line,
                    request.url.scheme == "https" ? " --http2" : " --http2-prior-knowledge");
  }
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
    absl::StrAppend(&line, " -x ", ShellWord(masker.Mask(WithoutUser(request.proxy))));
  }
  address = AddressOf(request, address);
  AddAddress(request, address, line);
  const std::string url = AddOtherName(request, transfer, address, line);
  AddHeaders(request, transfer, masker, line);
  AddBody(transfer, masker, line);
  AddUrlCare(url, line);
  absl::StrAppend(&line, " ", ShellWord(masker.Mask(url)));
  return CleanText(line, DefaultEngineLimits().curl_line_bytes);
}

}  // namespace picket
