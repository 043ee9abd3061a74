#include "agent/engine/transfer_url.h"

#include <curl/curl.h>
#include <locale.h>

#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace picket {
namespace {

class Utf8Locale {
 public:
  Utf8Locale() : before_(uselocale(static_cast<locale_t>(nullptr))) { UseUtf8Locale(); }
  ~Utf8Locale() { uselocale(before_); }

 private:
  const locale_t before_;
};

// The host in its IDNA form (RFC 5891), by libcurl and libidn2.
absl::StatusOr<std::string> AsciiHost(absl::string_view url) {
  const Utf8Locale utf8;
  std::unique_ptr<CURLU, void (*)(CURLU*)> parsed(curl_url(), curl_url_cleanup);
  char* host = nullptr;
  if (curl_url_set(parsed.get(), CURLUPART_URL, std::string(url).c_str(), 0) != CURLUE_OK ||
      curl_url_get(parsed.get(), CURLUPART_HOST, &host, CURLU_PUNYCODE) != CURLUE_OK) {
    return absl::InvalidArgumentError("its host is not a valid international name");
  }
  std::string ascii = host;
  curl_free(host);
  return ascii;
}

// Splits "host[:port]" or "[v6][:port]".
absl::Status SplitHostPort(absl::string_view authority, uint16_t default_port, std::string* host,
                           uint16_t* port) {
  absl::string_view name = authority, port_text;
  if (!authority.empty() && authority[0] == '[') {
    const size_t end = authority.find(']');
    if (end == absl::string_view::npos)
      return absl::InvalidArgumentError("its IPv6 host lacks a ]");
    name = authority.substr(1, end - 1);
    port_text = authority.substr(end + 1);
    if (!port_text.empty() && !absl::ConsumePrefix(&port_text, ":")) {
      return absl::InvalidArgumentError("there is text between its host and its port");
    }
  } else {
    const size_t colon = authority.find(':');
    name = authority.substr(0, colon);
    if (colon != absl::string_view::npos) port_text = authority.substr(colon + 1);
  }
  if (name.empty()) return absl::InvalidArgumentError("it has no host");
  *host = absl::AsciiStrToLower(name);
  *port = default_port;
  if (!port_text.empty()) {
    uint32_t number = 0;
    if (!absl::SimpleAtoi(port_text, &number) || number < 1 || number > 65535) {
      return absl::InvalidArgumentError(
          absl::StrCat("its port '", port_text, "' is not 1 to 65535"));
    }
    *port = static_cast<uint16_t>(number);
  }
  return absl::OkStatus();
}

std::string PercentDecoded(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && absl::ascii_isxdigit(text[i + 1]) &&
        absl::ascii_isxdigit(text[i + 2])) {
      out.push_back(absl::HexStringToBytes(text.substr(i + 1, 2))[0]);
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

absl::Status CheckCharacters(absl::string_view url) {
  for (const char c : url) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f) {
      return absl::InvalidArgumentError("it holds a space or a control character");
    }
  }
  return absl::OkStatus();
}

}  // namespace

void UseUtf8Locale() {
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", static_cast<locale_t>(nullptr));
  uselocale(utf8);
}

absl::StatusOr<UrlTarget> ParseUrlTarget(absl::string_view url) {
  if (absl::Status status = CheckCharacters(url); !status.ok()) return status;
  UrlTarget target;
  absl::string_view rest = url;
  if (absl::StartsWithIgnoreCase(rest, "https://")) {
    target.https = true;
    rest.remove_prefix(8);
  } else if (absl::StartsWithIgnoreCase(rest, "http://")) {
    rest.remove_prefix(7);
  } else {
    return absl::InvalidArgumentError("it does not begin with http:// or https://");
  }
  absl::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const size_t at = authority.rfind('@');
  if (at != absl::string_view::npos) authority.remove_prefix(at + 1);
  if (absl::Status status =
          SplitHostPort(authority, target.https ? 443 : 80, &target.host, &target.port);
      !status.ok()) {
    return status;
  }
  for (const char c : target.host) {
    if (absl::ascii_isascii(static_cast<unsigned char>(c)) && c != '\\' && c != '%') continue;
    if (authority[0] == '[') break;  // a zone
    auto ascii = AsciiHost(url);
    if (!ascii.ok()) return ascii.status();
    target.host = absl::AsciiStrToLower(*ascii);
    break;
  }
  return target;
}

absl::StatusOr<ProxyTarget> ParseProxy(absl::string_view proxy) {
  if (absl::Status status = CheckCharacters(proxy); !status.ok()) return status;
  ProxyTarget target;
  absl::string_view rest = proxy;
  if (absl::StartsWithIgnoreCase(rest, "socks5h://")) {
    target.socks = true;
    rest.remove_prefix(10);
  } else if (absl::StartsWithIgnoreCase(rest, "http://")) {
    rest.remove_prefix(7);
  } else {
    return absl::InvalidArgumentError("it does not begin with http:// or socks5h://");
  }
  absl::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const size_t at = authority.rfind('@');
  if (at != absl::string_view::npos) {
    const absl::string_view user = authority.substr(0, at);
    const size_t colon = user.find(':');
    target.user = PercentDecoded(user.substr(0, colon));
    if (colon != absl::string_view::npos) target.password = PercentDecoded(user.substr(colon + 1));
    authority.remove_prefix(at + 1);
  }
  if (absl::Status status =
          SplitHostPort(authority, target.socks ? 1080 : 80, &target.host, &target.port);
      !status.ok()) {
    return status;
  }
  return target;
}

}  // namespace picket
