#include "agent/engine/render_request.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/limits.h"
#include "agent/engine/multipart.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"

namespace picket {
namespace {

bool IsToken(absl::string_view text) {
  static constexpr absl::string_view kOthers = "!#$%&'*+-.^_`|~";
  for (char c : text) {
    if (!absl::ascii_isalnum(c) && !absl::StrContains(kOthers, c)) return false;
  }
  return !text.empty();
}

bool HasHeader(const RenderedRequest& request, absl::string_view name) {
  for (const RenderedHeader& header : request.headers) {
    if (absl::EqualsIgnoreCase(header.name, name)) return true;
  }
  return false;
}

// Whose requests say so if they have no body (RFC 9110, section 8.6); some servers answer
// 411 to those that do not.
bool ExpectsBody(absl::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

void AddDefault(RenderedRequest& request, absl::string_view name, absl::string_view value) {
  if (HasHeader(request, name)) return;
  request.headers.push_back({std::string(name), std::string(value), false});
}

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

class Renderer {
 public:
  Renderer(const CompiledStep& step, Variables& variables, absl::Time now, uint64_t seed)
      : step_(step), variables_(variables), now_(now), seed_(seed) {}

  absl::StatusOr<RenderedRequest> Run() {
    variables_.ForgetUses();
    ABSL_ASSIGN_OR_RETURN(out_.method, Text(step_.method, RenderMode::kHeader, "the method"));
    if (!IsToken(out_.method)) {
      return absl::InvalidArgumentError("the method is not a token of HTTP");
    }
    ABSL_RETURN_IF_ERROR(Address());
    ABSL_RETURN_IF_ERROR(Headers());
    ABSL_RETURN_IF_ERROR(Cookies());
    ABSL_RETURN_IF_ERROR(Body());
    ABSL_RETURN_IF_ERROR(Auth());
    ABSL_RETURN_IF_ERROR(Transport());
    AddDefault(out_, "Accept", "*/*");
    AddDefault(out_, "User-Agent", absl::StrCat("picket/", kVersion));
    out_.secrets = variables_.used_secrets();
    return std::move(out_);
  }

 private:
  absl::StatusOr<std::string> Text(const Template& text, RenderMode mode, absl::string_view what,
                                   bool* secret = nullptr) {
    absl::StatusOr<std::string> rendered = variables_.Text(text, now_, mode, secret);
    if (!rendered.ok()) return Annotate(rendered.status(), what);
    return rendered;
  }

  absl::Status Address() {
    ABSL_ASSIGN_OR_RETURN(std::string url, Text(step_.url, RenderMode::kUrl, "the url"));
    ABSL_ASSIGN_OR_RETURN(out_.url, ParseUrl(url));
    for (const auto& [name, value] : step_.query) {
      ABSL_ASSIGN_OR_RETURN(std::string n, Text(name, RenderMode::kQuery, "a query name"));
      ABSL_ASSIGN_OR_RETURN(std::string v, Text(value, RenderMode::kQuery, "a query value"));
      if (!out_.url.query.has_value()) {
        out_.url.query = "";
      } else if (!out_.url.query->empty()) {
        *out_.url.query += '&';
      }
      absl::StrAppend(&*out_.url.query, n, "=", v);
    }
    if (ToText(out_.url).size() > DefaultEngineLimits().url_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the url is longer than ", DefaultEngineLimits().url_bytes, " bytes"));
    }
    return absl::OkStatus();
  }

  absl::Status Headers() {
    out_.headers.reserve(step_.headers.size() + 4);
    for (const auto& [name, value] : step_.headers) {
      RenderedHeader header;
      ABSL_ASSIGN_OR_RETURN(header.name, Text(name, RenderMode::kHeader, "a header name"));
      if (!IsToken(header.name)) {
        return absl::InvalidArgumentError("a header name is not a token of HTTP");
      }
      ABSL_ASSIGN_OR_RETURN(
          header.value,
          Text(value, RenderMode::kHeader, absl::StrCat("header ", header.name), &header.secret));
      if (header.value.size() > DefaultEngineLimits().header_value_bytes) {
        return absl::ResourceExhaustedError(absl::StrCat("header ", header.name, " is longer than ",
                                                         DefaultEngineLimits().header_value_bytes,
                                                         " bytes"));
      }
      out_.headers.push_back(std::move(header));
    }
    return absl::OkStatus();
  }

  absl::Status Cookies() {
    for (const auto& [name, value] : step_.cookies) {
      ABSL_ASSIGN_OR_RETURN(std::string n, Text(name, RenderMode::kHeader, "a cookie name"));
      ABSL_ASSIGN_OR_RETURN(
          std::string v, Text(value, RenderMode::kHeader, "a cookie value", &out_.cookies_secret));
      if (!IsToken(n) || absl::StrContains(v, ';')) {
        return absl::InvalidArgumentError(
            "a cookie needs a token of HTTP for a name and a value without ';'");
      }
      out_.cookies.emplace_back(std::move(n), std::move(v));
    }
    return absl::OkStatus();
  }

  absl::Status Body() {
    const CompiledBody& body = step_.body;
    std::string type;
    switch (body.kind) {
      case v1::Body::KIND_NOT_SET:
        return absl::OkStatus();
      case v1::Body::kText: {
        ABSL_ASSIGN_OR_RETURN(out_.body,
                              Text(body.text, RenderMode::kText, "the body", &out_.body_secret));
        type = "text/plain; charset=utf-8";
        break;
      }
      case v1::Body::kBase64: {
        ABSL_ASSIGN_OR_RETURN(std::string text,
                              Text(body.text, RenderMode::kText, "the body", &out_.body_secret));
        std::string decoded;
        text.erase(std::remove_if(text.begin(), text.end(), absl::ascii_isspace), text.end());
        if (!absl::Base64Unescape(text, &decoded)) {
          return absl::InvalidArgumentError("the body is not base64");
        }
        out_.body = std::move(decoded);
        type = "application/octet-stream";
        break;
      }
      case v1::Body::kJson: {
        type = "application/json";
        if (body.json.constant) {
          out_.body = body.json_text;
          break;
        }
        auto rendered = body.json.tree.Render(variables_.Context(now_));
        if (!rendered.ok()) return Annotate(rendered.status(), "the body");
        out_.body = picket::ToText(rendered->value);
        out_.body_secret = rendered->uses_secret;
        break;
      }
      case v1::Body::kForm:
        ABSL_RETURN_IF_ERROR(Form(body));
        type = "application/x-www-form-urlencoded";
        break;
      case v1::Body::kFile:
        out_.body = *body.file;
        type = "application/octet-stream";
        break;
      case v1::Body::kMultipart: {
        ABSL_ASSIGN_OR_RETURN(type, MultipartBody(body));
        break;
      }
    }
    if (out_.body.has_value() && out_.body->size() > DefaultEngineLimits().request_body_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "the body is larger than ", DefaultEngineLimits().request_body_bytes, " bytes"));
    }
    AddDefault(out_, "Content-Type", type);
    return absl::OkStatus();
  }

  absl::Status Form(const CompiledBody& body) {
    std::string text;
    for (const auto& [name, value] : body.fields) {
      ABSL_ASSIGN_OR_RETURN(std::string n,
                            Text(name, RenderMode::kQuery, "a form field", &out_.body_secret));
      ABSL_ASSIGN_OR_RETURN(std::string v,
                            Text(value, RenderMode::kQuery, "a form value", &out_.body_secret));
      absl::StrAppend(&text, text.empty() ? "" : "&", n, "=", v);
    }
    out_.body = std::move(text);
    return absl::OkStatus();
  }

  // Returns the content type.
  absl::StatusOr<std::string> MultipartBody(const CompiledBody& body) {
    std::vector<std::string> texts(body.parts.size());
    std::vector<MultipartPart> parts;
    for (size_t i = 0; i < body.parts.size(); ++i) {
      const CompiledPart& part = body.parts[i];
      MultipartPart out;
      ABSL_ASSIGN_OR_RETURN(out.name,
                            Text(part.name, RenderMode::kText, "a part's name", &out_.body_secret));
      ABSL_ASSIGN_OR_RETURN(out.content_type, Text(part.content_type, RenderMode::kHeader,
                                                   "a part's content type", &out_.body_secret));
      if (part.file != nullptr) {
        out.content = *part.file;
      } else {
        ABSL_ASSIGN_OR_RETURN(
            texts[i], Text(part.text, RenderMode::kText, "a part's text", &out_.body_secret));
        out.content = texts[i];
      }
      if (!part.file_name.empty()) out.file_name = part.file_name;
      parts.push_back(std::move(out));
    }
    const std::string boundary = ChooseBoundary(parts, seed_);
    out_.body = WriteMultipart(parts, boundary);
    return absl::StrCat("multipart/form-data; boundary=", boundary);
  }

  absl::Status Auth() {
    std::vector<std::string> fields;
    for (const Template& field : step_.auth.fields) {
      ABSL_ASSIGN_OR_RETURN(std::string text, Text(field, RenderMode::kText, "the credentials"));
      fields.push_back(std::move(text));
    }
    std::string authorization;
    switch (step_.auth.kind) {
      case v1::Auth::kBasic:
        authorization =
            absl::StrCat("Basic ", absl::Base64Escape(absl::StrCat(fields[0], ":", fields[1])));
        break;
      case v1::Auth::kBearer:
        authorization = absl::StrCat("Bearer ", fields[0]);
        break;
      case v1::Auth::kDigest:
        out_.digest.emplace(fields[0], fields[1]);
        break;
      case v1::Auth::kAwsSigv4:
        out_.sigv4 = SigV4Credentials{fields[0], fields[1], fields[2], fields[3], fields[4]};
        break;
      case v1::Auth::KIND_NOT_SET:
        if (out_.url.userinfo.has_value()) {
          std::string pair = PercentDecode(*out_.url.userinfo);
          if (!absl::StrContains(*out_.url.userinfo, ':')) pair += ':';
          authorization = absl::StrCat("Basic ", absl::Base64Escape(pair));
        }
        break;
    }
    out_.url.userinfo.reset();
    for (char c : authorization) {
      if (absl::ascii_iscntrl(c)) {
        return absl::InvalidArgumentError("the credentials hold a control character");
      }
    }
    // One that the suite wrote by hand stands.
    if (!authorization.empty() && !HasHeader(out_, "Authorization")) {
      out_.headers.push_back({"Authorization", std::move(authorization), true});
    }
    return absl::OkStatus();
  }

  absl::Status Transport() {
    for (const auto& [host, address] : step_.resolve) {
      ABSL_ASSIGN_OR_RETURN(out_.resolve[host], Text(address, RenderMode::kHeader, "resolve"));
    }
    ABSL_ASSIGN_OR_RETURN(out_.proxy, Text(step_.proxy, RenderMode::kHeader, "the proxy"));
    if (out_.proxy == "none") {
      out_.proxy.clear();
    } else if (out_.proxy == "env") {
      out_.proxy = ProxyFromEnvironment(out_.url);
    }
    out_.tls = step_.tls;
    ABSL_ASSIGN_OR_RETURN(out_.tls.server_name,
                          Text(step_.server_name, RenderMode::kHeader, "tls.server_name"));
    return absl::OkStatus();
  }

  const CompiledStep& step_;
  Variables& variables_;
  const absl::Time now_;
  const uint64_t seed_;
  RenderedRequest out_;
};

std::string CookieField(const RenderedRequest& request, const CookieJar& jar, absl::Time now) {
  std::string field;
  for (const auto& [name, value] : request.cookies) {
    absl::StrAppend(&field, field.empty() ? "" : "; ", name, "=", value);
  }
  if (jar.size() == 0) return field;
  for (const auto& [name, value] : jar.For(request.url, now)) {
    bool own = false;  // the suite's word stands over the server's
    for (const auto& cookie : request.cookies) own |= cookie.first == name;
    if (!own) absl::StrAppend(&field, field.empty() ? "" : "; ", name, "=", value);
  }
  return field;
}

}  // namespace

absl::StatusOr<RenderedRequest> RenderRequest(const CompiledStep& step, Variables& variables,
                                              absl::Time now, uint64_t boundary_seed) {
  return Renderer(step, variables, now, boundary_seed).Run();
}

void FollowRedirect(const RedirectAnswer& answer, RenderedRequest& request) {
  const bool new_host = request.url.host != answer.to.host;
  request.url = answer.to;
  request.method = answer.method;
  if (!answer.keep_body && request.body.has_value()) {
    request.body.reset();
    request.body_secret = false;
    std::erase_if(request.headers, [](const RenderedHeader& header) {
      return absl::StartsWithIgnoreCase(header.name, "content-");
    });
  }
  if (!answer.new_origin) return;
  std::erase_if(request.headers, [](const RenderedHeader& header) {
    return header.secret || IsSensitiveHeader(header.name) ||
           absl::EqualsIgnoreCase(header.name, "host");
  });
  request.cookies.clear();
  request.digest.reset();
  request.sigv4.reset();
  request.tls.cert.reset();
  request.tls.key.reset();
  if (new_host) request.tls.server_name.clear();
  request.secrets.clear();
}

TransferRequest MakeTransfer(const CompiledStep& step, const RenderedRequest& request,
                             const CookieJar& jar, absl::Time now) {
  TransferRequest out;
  out.method = request.method;
  out.url = ToText(request.url);
  out.headers.reserve(request.headers.size() + 4);
  std::string cookies = CookieField(request, jar, now);
  for (const RenderedHeader& header : request.headers) {
    out.headers.emplace_back(header.name, header.value);
    if (!cookies.empty() && absl::EqualsIgnoreCase(header.name, "cookie")) {
      absl::StrAppend(&out.headers.back().second, header.value.empty() ? "" : "; ", cookies);
      cookies.clear();
    }
  }
  if (!cookies.empty()) out.headers.emplace_back("Cookie", std::move(cookies));
  if (request.sigv4.has_value()) {
    HeaderList added = SignSigV4(*request.sigv4, request.method, request.url, out.headers,
                                 request.body.value_or(""), now);
    for (auto& field : added) out.headers.push_back(std::move(field));
  }
  out.body = request.body;
  if (!request.body.has_value() && ExpectsBody(request.method) &&
      !HasHeader(request, "Content-Length") && !HasHeader(request, "Transfer-Encoding")) {
    out.headers.emplace_back("Content-Length", "0");
  }
  const v1::HttpCheck& http = *step.http;
  out.http_version = http.http_version() == v1::HttpCheck::HTTP_VERSION_UNSPECIFIED
                         ? v1::HttpCheck::AUTO
                         : http.http_version();
  out.ip_version = http.ip_version() == v1::HttpCheck::IP_VERSION_UNSPECIFIED ? v1::HttpCheck::ANY
                                                                              : http.ip_version();
  out.resolve = request.resolve;
  out.proxy = request.proxy;
  out.tls = request.tls;
  out.reuse = http.connection() == v1::HttpCheck::REUSE;
  out.compressed = http.compressed();
  out.body_limit = step.body_limit;
  out.digest = request.digest;
  return out;
}

}  // namespace picket
