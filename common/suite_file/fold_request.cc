#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/policy/limits.h"
#include "common/policy/syntax.h"
#include "common/policy/units.h"
#include "common/suite_file/check.h"
#include "common/suite_file/fold.h"

namespace picket {
namespace {

using NameValues = google::protobuf::RepeatedPtrField<v1::NameValue>;

const YamlNode* FindFolded(const YamlNode& map, absl::string_view key, bool fold_case) {
  for (const YamlNode::Entry& entry : map.map) {
    if (fold_case ? absl::EqualsIgnoreCase(entry.key->text, key) : entry.key->text == key) {
      return entry.value;
    }
  }
  return nullptr;
}

// `own` and, before it, what only `inherited` has.
const YamlNode* Join(SuiteContext& context, const YamlNode& own, const YamlNode& inherited,
                     bool fold_case) {
  YamlNode* joined = context.NewNode();
  *joined = own;
  joined->map.clear();
  for (const YamlNode::Entry& entry : inherited.map) {
    if (FindFolded(own, entry.key->text, fold_case) == nullptr) joined->map.push_back(entry);
  }
  joined->map.insert(joined->map.end(), own.map.begin(), own.map.end());
  return joined;
}

// The request with its suite's defaults; `headers`, `cookies`, `resolve` and `tls` are
// joined name by name, all else is replaced.
const YamlNode* WithDefaults(SuiteContext& context, const YamlNode& request,
                             const YamlNode* defaults) {
  if (defaults == nullptr || !defaults->is_map() || defaults->bad) return &request;
  YamlNode* merged = context.NewNode();
  *merged = *Join(context, request, *defaults, false);
  for (YamlNode::Entry& entry : merged->map) {
    const std::string& key = entry.key->text;
    if (key != "headers" && key != "cookies" && key != "resolve" && key != "tls") continue;
    const YamlNode* own = request.Find(key);
    const YamlNode* inherited = defaults->Find(key);
    if (own == nullptr || inherited == nullptr || !own->is_map() || !inherited->is_map()) continue;
    entry.value = const_cast<YamlNode*>(Join(context, *own, *inherited, key == "headers"));
  }
  return merged;
}

class RequestFolder {
 public:
  RequestFolder(SuiteContext& context, Scope& scope, v1::Test& test)
      : context_(context), scope_(scope), test_(test) {}

  void Fold(const YamlNode& r, v1::HttpCheck& http) {
    http.set_method(Text(&r, "method", "GET"));
    http.set_url(Text(&r, "url"));
    Pairs(Get(&r, "query"), *http.mutable_query());
    Pairs(Get(&r, "headers"), *http.mutable_headers());
    DistinctHeaders(Get(&r, "headers"));
    Pairs(Get(&r, "cookies"), *http.mutable_cookies());
    Pairs(Get(&r, "resolve"), *http.mutable_resolve());
    if (const YamlNode* body = Get(&r, "body")) Body(*body, *http.mutable_body());
    if (const YamlNode* auth = Get(&r, "auth")) Auth(*auth, *http.mutable_auth());
    http.set_follow_redirects(GetBool(&r, "follow_redirects", true));
    http.set_max_redirects(static_cast<uint32_t>(
        GetInteger(&r, "max_redirects", DefaultLimits().max_redirects_default)));
    http.set_allow_insecure_redirect(GetBool(&r, "allow_insecure_redirect", false));
    const std::string version = GetText(&r, "http_version", "auto");
    http.set_http_version(version == "1.1" ? v1::HttpCheck::HTTP_1_1
                          : version == "2" ? v1::HttpCheck::HTTP_2
                                           : v1::HttpCheck::AUTO);
    const std::string ip = GetText(&r, "ip_version", "any");
    http.set_ip_version(ip == "4"   ? v1::HttpCheck::IPV4
                        : ip == "6" ? v1::HttpCheck::IPV6
                                    : v1::HttpCheck::ANY);
    http.set_connection(GetText(&r, "connection", "fresh") == "reuse" ? v1::HttpCheck::REUSE
                                                                      : v1::HttpCheck::FRESH);
    http.set_proxy(Text(&r, "proxy", "none"));
    http.set_compressed(GetBool(&r, "compressed", false));
    http.set_body_limit_bytes(DefaultLimits().body_limit_default);
    if (const YamlNode* limit = Get(&r, "body_limit")) {
      if (auto size = ParseSize(limit->text); size.ok()) http.set_body_limit_bytes(*size);
    }
    Tls(Get(&r, "tls"), *http.mutable_tls());
  }

 private:
  std::string Text(const YamlNode* map, absl::string_view key, absl::string_view fallback = "") {
    const YamlNode* value = Get(map, key);
    if (value == nullptr || !value->is_scalar()) return std::string(fallback);
    scope_.Scan(context_, *value);
    return value->text;
  }

  void Pairs(const YamlNode* map, NameValues& pairs) {
    if (map == nullptr) return;
    for (const YamlNode::Entry& entry : map->map) {
      scope_.Scan(context_, *entry.key);
      for (const YamlNode* value : ListOrOne(*entry.value)) {
        scope_.Scan(context_, *value);
        v1::NameValue& pair = *pairs.Add();
        pair.set_name(entry.key->text);
        pair.set_value(value->text);
      }
    }
  }

  void DistinctHeaders(const YamlNode* map) {
    if (map == nullptr) return;
    std::set<std::string> seen;
    for (const YamlNode::Entry& entry : map->map) {
      if (!seen.insert(absl::AsciiStrToLower(entry.key->text)).second) {
        context_.Error(*entry.key,
                       absl::StrCat("headers: '", entry.key->text,
                                    "' is there twice (names have no case); repeat a header with "
                                    "a list of values"));
      }
    }
  }

  void Body(const YamlNode& node, v1::Body& body) {
    if (Get(&node, "text") != nullptr) body.set_text(Text(&node, "text"));
    if (const YamlNode* json = Get(&node, "json")) {
      scope_.Scan(context_, *json);
      const YamlNode* culprit = nullptr;
      const auto value = YamlToJson(*json, &culprit);
      if (value.ok()) {
        body.set_json(ToText(*value));
      } else {
        context_.Error(*culprit, value.status().message());
      }
    }
    if (const YamlNode* form = Get(&node, "form"))
      Pairs(form, *body.mutable_form()->mutable_fields());
    if (const YamlNode* parts = Get(&node, "multipart")) {
      for (const YamlNode* part : ListOrOne(*parts))
        Part(*part, *body.mutable_multipart()->add_parts());
    }
    if (const YamlNode* file = Get(&node, "file")) {
      FoldFile(context_, *file, test_);
      body.set_file(file->text);
    }
    if (Get(&node, "base64") != nullptr) body.set_base64(Text(&node, "base64"));
  }

  void Part(const YamlNode& node, v1::Multipart::Part& part) {
    part.set_name(Text(&node, "name"));
    part.set_content_type(Text(&node, "content_type"));
    part.set_file_name(GetText(&node, "file_name"));
    if (const YamlNode* file = Get(&node, "file")) {
      FoldFile(context_, *file, test_);
      part.set_file(file->text);
    } else {
      part.set_text(Text(&node, "text"));
    }
  }

  void Basic(const YamlNode& node, v1::Auth::Basic& basic) {
    basic.set_username(Text(&node, "username"));
    basic.set_password(Text(&node, "password"));
  }

  void Auth(const YamlNode& node, v1::Auth& auth) {
    if (const YamlNode* basic = Get(&node, "basic")) Basic(*basic, *auth.mutable_basic());
    if (const YamlNode* digest = Get(&node, "digest")) Basic(*digest, *auth.mutable_digest());
    if (Get(&node, "bearer") != nullptr) auth.set_bearer(Text(&node, "bearer"));
    if (const YamlNode* aws = Get(&node, "aws_sigv4")) {
      v1::Auth::AwsSigV4& sign = *auth.mutable_aws_sigv4();
      sign.set_access_key_id(Text(aws, "access_key_id"));
      sign.set_secret_access_key(Text(aws, "secret_access_key"));
      sign.set_session_token(Text(aws, "session_token"));
      sign.set_region(Text(aws, "region"));
      sign.set_service(Text(aws, "service"));
    }
  }

  void Tls(const YamlNode* node, v1::Tls& tls) {
    tls.set_verify(GetBool(node, "verify", true));
    if (const YamlNode* ca = Get(node, "ca")) {
      FoldFile(context_, *ca, test_);
      tls.set_ca(ca->text);
    }
    if (const YamlNode* cert = Get(node, "cert")) {
      FoldFile(context_, *cert, test_);
      tls.set_cert(cert->text);
    }
    if (const YamlNode* key = Get(node, "key")) {
      FoldFile(context_, *key, test_);
      tls.set_key(key->text);
      if (Get(node, "cert") == nullptr) context_.Error(*key, "tls.key needs tls.cert beside it");
    }
    tls.set_min_version(GetText(node, "min_version"));
    tls.set_server_name(Text(node, "server_name"));
  }

  SuiteContext& context_;
  Scope& scope_;
  v1::Test& test_;
};

}  // namespace

void FoldFile(SuiteContext& context, const YamlNode& node, v1::Test& test) {
  for (const v1::FileRef& file : test.files()) {
    if (file.path() == node.text) return;
  }
  if (auto ref = context.Attach(node)) *test.add_files() = *std::move(ref);
}

void FoldRequest(SuiteContext& context, const YamlNode& request, const YamlNode* defaults,
                 Scope& scope, v1::Test& test, v1::HttpCheck& http) {
  RequestFolder(context, scope, test).Fold(*WithDefaults(context, request, defaults), http);
}

}  // namespace picket
