#include "common/expr/uri.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace picket {
namespace {

struct Parts {
  absl::string_view scheme;  // without the colon
  bool has_authority = false;
  absl::string_view authority;
  absl::string_view path;
  bool has_query = false;
  absl::string_view query;
};

// REQUIRES: no fragment in `uri`.
Parts Split(absl::string_view uri) {
  Parts parts;
  const size_t colon = uri.find_first_of(":/?");
  if (colon != absl::string_view::npos && colon > 0 && uri[colon] == ':') {
    parts.scheme = uri.substr(0, colon);
    uri.remove_prefix(colon + 1);
  }
  if (const size_t query = uri.find('?'); query != absl::string_view::npos) {
    parts.has_query = true;
    parts.query = uri.substr(query + 1);
    uri = uri.substr(0, query);
  }
  if (absl::StartsWith(uri, "//")) {
    uri.remove_prefix(2);
    const size_t slash = std::min(uri.find('/'), uri.size());
    parts.has_authority = true;
    parts.authority = uri.substr(0, slash);
    uri.remove_prefix(slash);
  }
  parts.path = uri;
  return parts;
}

// RFC 3986, section 5.2.4.
std::string RemoveDotSegments(absl::string_view in) {
  std::string out;
  while (!in.empty()) {
    if (absl::StartsWith(in, "../")) {
      in.remove_prefix(3);
    } else if (absl::StartsWith(in, "./") || absl::StartsWith(in, "/./")) {
      in.remove_prefix(2);
    } else if (in == "/.") {
      in = "/";
    } else if (absl::StartsWith(in, "/../") || in == "/..") {
      in = in == "/.." ? "/" : in.substr(3);
      const size_t slash = out.rfind('/');
      out.erase(slash == std::string::npos ? 0 : slash);
    } else if (in == "." || in == "..") {
      in = "";
    } else {
      const size_t next = std::min(in.find('/', 1), in.size());
      absl::StrAppend(&out, in.substr(0, next));
      in.remove_prefix(next);
    }
  }
  return out;
}

std::string MergePaths(const Parts& base, absl::string_view path) {
  if (base.has_authority && base.path.empty()) return absl::StrCat("/", path);
  const size_t slash = base.path.rfind('/');
  if (slash == absl::string_view::npos) return std::string(path);
  return absl::StrCat(base.path.substr(0, slash + 1), path);
}

int HexValue(char c) {
  c = absl::ascii_tolower(c);
  return c <= '9' ? c - '0' : c - 'a' + 10;
}

std::string PercentDecode(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && absl::ascii_isxdigit(text[i + 1]) &&
        absl::ascii_isxdigit(text[i + 2])) {
      out += static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

UriReference ResolveUri(absl::string_view base, absl::string_view reference) {
  UriReference result;
  if (const size_t hash = reference.find('#'); hash != absl::string_view::npos) {
    result.fragment = PercentDecode(reference.substr(hash + 1));
    reference = reference.substr(0, hash);
  }
  if (base.empty()) {
    result.without_fragment = std::string(reference);
    return result;
  }
  const Parts from = Split(base);
  const Parts to = Split(reference);
  Parts target = to;
  std::string path;
  if (!to.scheme.empty()) {
    path = RemoveDotSegments(to.path);
  } else {
    target.scheme = from.scheme;
    if (to.has_authority) {
      path = RemoveDotSegments(to.path);
    } else {
      target.has_authority = from.has_authority;
      target.authority = from.authority;
      if (to.path.empty()) {
        path = std::string(from.path);
        if (!to.has_query) {
          target.has_query = from.has_query;
          target.query = from.query;
        }
      } else {
        path =
            RemoveDotSegments(to.path[0] == '/' ? std::string(to.path) : MergePaths(from, to.path));
      }
    }
  }
  if (!target.scheme.empty()) absl::StrAppend(&result.without_fragment, target.scheme, ":");
  if (target.has_authority) absl::StrAppend(&result.without_fragment, "//", target.authority);
  absl::StrAppend(&result.without_fragment, path);
  if (target.has_query) absl::StrAppend(&result.without_fragment, "?", target.query);
  return result;
}

}  // namespace picket
