#include "agent/engine/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/expr/template.h"

namespace picket {
namespace {

std::string Sha256(absl::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr);
  return std::string(reinterpret_cast<char*>(digest), length);
}

std::string HmacSha256(absl::string_view key, absl::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &length);
  return std::string(reinterpret_cast<char*>(digest), length);
}

// Bytes as they are after percent-decoding; a '%' without two digits stands for itself.
std::string PercentDecode(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && absl::ascii_isxdigit(text[i + 1]) &&
        absl::ascii_isxdigit(text[i + 2])) {
      out += absl::HexStringToBytes(text.substr(i + 1, 2));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// S3 signs the path as sent; every other service normalises it and encodes it once more.
std::string CanonicalPath(absl::string_view service, absl::string_view path) {
  std::vector<std::string> out;
  for (absl::string_view segment : absl::StrSplit(path, '/')) {
    if (service == "s3") {
      out.push_back(PercentEncode(PercentDecode(segment)));
      continue;
    }
    if (segment == ".") continue;
    if (segment == "..") {
      if (!out.empty()) out.pop_back();
      continue;
    }
    if (segment.empty() && !out.empty() && out.back().empty()) continue;
    out.push_back(PercentEncode(segment));
  }
  std::string joined = absl::StrJoin(out, "/");
  if (joined.empty() || joined[0] != '/') joined.insert(0, "/");
  const bool ends_in_dots = absl::EndsWith(path, "/.") || absl::EndsWith(path, "/..");
  if (service != "s3" && ends_in_dots && joined.back() != '/') joined += '/';
  return joined;
}

std::string CanonicalQuery(const Url& url) {
  if (!url.query.has_value() || url.query->empty()) return "";
  std::vector<std::pair<std::string, std::string>> pairs;
  for (absl::string_view pair : absl::StrSplit(*url.query, '&', absl::SkipEmpty())) {
    const size_t at = pair.find('=');
    pairs.emplace_back(
        PercentEncode(PercentDecode(pair.substr(0, at))),
        at == absl::string_view::npos ? "" : PercentEncode(PercentDecode(pair.substr(at + 1))));
  }
  std::sort(pairs.begin(), pairs.end());
  return absl::StrJoin(pairs, "&", absl::PairFormatter("="));
}

std::string CanonicalValue(absl::string_view value) {
  std::string trimmed(value);
  absl::RemoveExtraAsciiWhitespace(&trimmed);
  return trimmed;
}

bool IsSigned(absl::string_view lower_name) {
  static constexpr absl::string_view kLeftOut[] = {
      "connection",     "user-agent", "accept-encoding", "transfer-encoding", "expect",
      "content-length", "te",         "upgrade",         "authorization",     "keep-alive"};
  return std::find(std::begin(kLeftOut), std::end(kLeftOut), lower_name) == std::end(kLeftOut);
}

}  // namespace

std::string Sha256Hex(absl::string_view bytes) { return absl::BytesToHexString(Sha256(bytes)); }

std::string SigV4CanonicalRequest(absl::string_view service, absl::string_view method,
                                  const Url& url, const HeaderList& headers,
                                  absl::string_view body_sha256, std::string* signed_headers) {
  std::map<std::string, std::vector<std::string>> fields;
  for (const auto& [name, value] : headers) {
    const std::string lower = absl::AsciiStrToLower(name);
    if (IsSigned(lower)) fields[lower].push_back(CanonicalValue(value));
  }
  if (fields.count("host") == 0) fields["host"].push_back(HostAndPort(url));
  std::string lines;
  std::vector<std::string> names;
  for (const auto& [name, values] : fields) {
    absl::StrAppend(&lines, name, ":", absl::StrJoin(values, ","), "\n");
    names.push_back(name);
  }
  *signed_headers = absl::StrJoin(names, ";");
  return absl::StrCat(method, "\n", CanonicalPath(service, url.path), "\n", CanonicalQuery(url),
                      "\n", lines, "\n", *signed_headers, "\n", body_sha256);
}

HeaderList SignSigV4(const SigV4Credentials& credentials, absl::string_view method, const Url& url,
                     const HeaderList& headers, absl::string_view body, absl::Time now) {
  const std::string stamp = absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone());
  const std::string date = stamp.substr(0, 8);
  const std::string body_hash = Sha256Hex(body);
  HeaderList added = {{"X-Amz-Date", stamp}};
  if (credentials.service == "s3") added.emplace_back("X-Amz-Content-Sha256", body_hash);
  if (!credentials.session_token.empty()) {
    added.emplace_back("X-Amz-Security-Token", credentials.session_token);
  }
  HeaderList all = headers;
  all.insert(all.end(), added.begin(), added.end());
  std::string signed_headers;
  const std::string canonical =
      SigV4CanonicalRequest(credentials.service, method, url, all, body_hash, &signed_headers);
  const std::string scope =
      absl::StrCat(date, "/", credentials.region, "/", credentials.service, "/aws4_request");
  const std::string to_sign =
      absl::StrCat("AWS4-HMAC-SHA256\n", stamp, "\n", scope, "\n", Sha256Hex(canonical));
  std::string key = HmacSha256(absl::StrCat("AWS4", credentials.secret_access_key), date);
  for (absl::string_view part :
       {absl::string_view(credentials.region), absl::string_view(credentials.service),
        absl::string_view("aws4_request")}) {
    key = HmacSha256(key, part);
  }
  added.emplace_back("Authorization",
                     absl::StrCat("AWS4-HMAC-SHA256 Credential=", credentials.access_key_id, "/",
                                  scope, ", SignedHeaders=", signed_headers, ", Signature=",
                                  absl::BytesToHexString(HmacSha256(key, to_sign))));
  return added;
}

}  // namespace picket
