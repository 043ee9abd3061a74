#include "common/policy/validate_step.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"
#include "common/policy/operators.h"
#include "common/policy/syntax.h"

namespace picket {
namespace {

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

using NameValues = google::protobuf::RepeatedPtrField<v1::NameValue>;

absl::Status CheckText(absl::string_view text, absl::string_view what) {
  if (text.size() <= DefaultLimits().template_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      what, " has ", text.size(), " bytes; the most are ", DefaultLimits().template_bytes));
}

bool IsHeaderText(absl::string_view text) {
  return text.find_first_of(absl::string_view("\r\n\0", 3)) == absl::string_view::npos;
}

// Names are tokens, or templates; values carry no line ends.
absl::Status CheckFields(const NameValues& fields, absl::string_view what) {
  for (const v1::NameValue& field : fields) {
    if (!HasPlaceholder(field.name()) && !IsToken(field.name())) {
      return Bad(what, " name '", field.name(), "' is not a token (RFC 9110)");
    }
    if (!IsHeaderText(field.value())) {
      return Bad(what, " '", field.name(), "' holds a line end or NUL");
    }
    ABSL_RETURN_IF_ERROR(CheckText(field.value(), what));
  }
  return absl::OkStatus();
}

absl::Status CheckFile(const v1::Test& test, absl::string_view path, absl::string_view what) {
  for (const v1::FileRef& file : test.files()) {
    if (file.path() == path) return absl::OkStatus();
  }
  return Bad(what, " names the file '", path, "', which the test does not carry");
}

absl::Status CheckBody(const v1::Test& test, const v1::Body& body) {
  switch (body.kind_case()) {
    case v1::Body::kText:
      return CheckText(body.text(), "body.text");
    case v1::Body::kJson:
      if (body.json().empty()) return Bad("body.json is empty");
      return CheckText(body.json(), "body.json");
    case v1::Body::kForm:
      for (const v1::NameValue& field : body.form().fields()) {
        if (field.name().empty()) return Bad("body.form has a field without a name");
      }
      return absl::OkStatus();
    case v1::Body::kMultipart:
      if (body.multipart().parts().empty()) return Bad("body.multipart has no parts");
      for (const v1::Multipart::Part& part : body.multipart().parts()) {
        if (part.name().empty()) return Bad("body.multipart has a part without a name");
        if (!IsHeaderText(part.name()) || !IsHeaderText(part.content_type()) ||
            !IsHeaderText(part.file_name())) {
          return Bad("body.multipart: a line end in part '", part.name(), "'");
        }
        if (part.content_case() == v1::Multipart::Part::CONTENT_NOT_SET) {
          return Bad("body.multipart part '", part.name(), "' has no content");
        }
        if (part.has_file()) ABSL_RETURN_IF_ERROR(CheckFile(test, part.file(), "body.multipart"));
      }
      return absl::OkStatus();
    case v1::Body::kFile:
      return CheckFile(test, body.file(), "body.file");
    case v1::Body::kBase64:
      return CheckText(body.base64(), "body.base64");
    default:
      return Bad("body is empty");
  }
}

absl::Status CheckAuth(const v1::Auth& auth) {
  switch (auth.kind_case()) {
    case v1::Auth::kBasic:
      return auth.basic().username().empty() ? Bad("auth.basic has no username") : absl::OkStatus();
    case v1::Auth::kDigest:
      return auth.digest().username().empty() ? Bad("auth.digest has no username")
                                              : absl::OkStatus();
    case v1::Auth::kBearer:
      return auth.bearer().empty() ? Bad("auth.bearer is empty") : absl::OkStatus();
    case v1::Auth::kAwsSigv4:
      if (auth.aws_sigv4().access_key_id().empty() ||
          auth.aws_sigv4().secret_access_key().empty() || auth.aws_sigv4().region().empty() ||
          auth.aws_sigv4().service().empty()) {
        return Bad("auth.aws_sigv4 needs access_key_id, secret_access_key, region and service");
      }
      return absl::OkStatus();
    default:
      return Bad("auth is empty");
  }
}

absl::Status CheckTls(const v1::Test& test, const v1::Tls& tls) {
  if (!tls.ca().empty()) ABSL_RETURN_IF_ERROR(CheckFile(test, tls.ca(), "tls.ca"));
  if (!tls.cert().empty()) ABSL_RETURN_IF_ERROR(CheckFile(test, tls.cert(), "tls.cert"));
  if (!tls.key().empty()) {
    if (tls.cert().empty()) return Bad("tls.key is there without tls.cert");
    ABSL_RETURN_IF_ERROR(CheckFile(test, tls.key(), "tls.key"));
  }
  const std::set<std::string> versions = {"", "1.0", "1.1", "1.2", "1.3"};
  if (!versions.contains(tls.min_version())) {
    return Bad("tls.min_version '", tls.min_version(), "' is none of 1.0, 1.1, 1.2, 1.3");
  }
  return absl::OkStatus();
}

absl::Status CheckHttp(const v1::Test& test, const v1::HttpCheck& http) {
  const Limits& limits = DefaultLimits();
  if (!HasPlaceholder(http.method()) && !IsToken(http.method())) {
    return Bad("method '", http.method(), "' is not a token (RFC 9110)");
  }
  ABSL_RETURN_IF_ERROR(CheckText(http.url(), "url"));
  ABSL_RETURN_IF_ERROR(Annotate(CheckUrl(http.url()), "url"));
  for (const v1::NameValue& pair : http.query()) {
    if (pair.name().empty()) return Bad("query has a field without a name");
  }
  ABSL_RETURN_IF_ERROR(CheckFields(http.headers(), "header"));
  ABSL_RETURN_IF_ERROR(CheckFields(http.cookies(), "cookie"));
  if (http.has_body()) ABSL_RETURN_IF_ERROR(CheckBody(test, http.body()));
  if (http.has_auth()) ABSL_RETURN_IF_ERROR(CheckAuth(http.auth()));
  if (http.max_redirects() > static_cast<uint32_t>(limits.max_redirects_most)) {
    return Bad("max_redirects is ", http.max_redirects(), "; the most are ",
               limits.max_redirects_most);
  }
  if (!v1::HttpCheck::HttpVersion_IsValid(http.http_version()) || http.http_version() == 0 ||
      !v1::HttpCheck::IpVersion_IsValid(http.ip_version()) || http.ip_version() == 0 ||
      !v1::HttpCheck::Connection_IsValid(http.connection()) || http.connection() == 0) {
    return Bad("http_version, ip_version or connection is not set to a known value");
  }
  for (const v1::NameValue& pair : http.resolve()) {
    if (pair.name().empty() || pair.value().empty()) return Bad("resolve has an empty entry");
  }
  ABSL_RETURN_IF_ERROR(Annotate(CheckProxy(http.proxy()), "proxy"));
  ABSL_RETURN_IF_ERROR(CheckTls(test, http.tls()));
  if (http.body_limit_bytes() == 0 || http.body_limit_bytes() > limits.body_limit_most) {
    return Bad("body_limit is ", http.body_limit_bytes(), "; it must be from 1 to ",
               limits.body_limit_most, " bytes");
  }
  return absl::OkStatus();
}

absl::Status CheckExpectation(const v1::Expectation& expectation) {
  const SubjectRow* row = FindSubjectRow(expectation.subject(), expectation.argument());
  if (row == nullptr) {
    return Bad("unknown subject, or unknown argument '", expectation.argument(), "'");
  }
  const std::string& subject = v1::Subject::Value_Name(expectation.subject());
  const SubjectForm& form = FormOf(expectation.subject());
  if (form.key_required && expectation.argument().empty()) {
    return Bad(subject, " does not say which ", form.key);
  }
  if (form.key.empty() && !expectation.argument().empty()) {
    return Bad(subject, " takes no argument");
  }
  ABSL_RETURN_IF_ERROR(CheckText(expectation.argument(), subject));
  if (expectation.operations().empty()) return Bad(subject, " has no operator");
  OperatorSet seen = 0;
  for (const v1::Operation& operation : expectation.operations()) {
    const v1::Operator::Value op = operation.operator_();
    if (!v1::Operator::Value_IsValid(op) || op == v1::Operator::OPERATOR_UNSPECIFIED ||
        !Allows(*row, op)) {
      return Bad("operator '", v1::Operator::Value_Name(op), "' does not fit ", subject,
                 row->argument.empty() ? "" : " ", row->argument,
                 "; there are: ", OperatorNames(row->operators));
    }
    if ((seen & Bit(op)) != 0) return Bad(v1::Operator::Value_Name(op), " is there twice");
    seen |= Bit(op);
    if (operation.operand_json().empty()) {
      return Bad(subject, " ", v1::Operator::Value_Name(op), " has no operand");
    }
    ABSL_RETURN_IF_ERROR(CheckText(operation.operand_json(), "an operand"));
  }
  return absl::OkStatus();
}

absl::Status CheckExtract(const v1::Extract& extract) {
  if (!IsName(extract.name())) return Bad("'", extract.name(), "' cannot name a variable");
  switch (extract.from_case()) {
    case v1::Extract::kJson:
      return extract.json().empty() ? Bad("json is empty") : absl::OkStatus();
    case v1::Extract::kHeader:
      return extract.header().empty() ? Bad("header is empty") : absl::OkStatus();
    case v1::Extract::kBody:
      return extract.body().regex().empty() ? Bad("body.regex is empty") : absl::OkStatus();
    case v1::Extract::kXpath:
      return extract.xpath().empty() ? Bad("xpath is empty") : absl::OkStatus();
    case v1::Extract::kCookie:
      return extract.cookie().empty() ? Bad("cookie is empty") : absl::OkStatus();
    case v1::Extract::kStatus:
      return extract.status() ? absl::OkStatus() : Bad("status must be true");
    default:
      return Bad("it does not say where the value comes from");
  }
}

}  // namespace

absl::Status ValidateStep(const v1::Test& test, const v1::Step& step) {
  const Limits& limits = DefaultLimits();
  if (step.check_case() != v1::Step::kHttp) return Bad("it checks nothing this version knows");
  ABSL_RETURN_IF_ERROR(CheckHttp(test, step.http()));
  if (static_cast<size_t>(step.expect_size()) > limits.expectations_per_step) {
    return absl::ResourceExhaustedError(absl::StrCat("it has ", step.expect_size(),
                                                     " expectations; the most are ",
                                                     limits.expectations_per_step));
  }
  for (int i = 0; i < step.expect_size(); ++i) {
    ABSL_RETURN_IF_ERROR(
        Annotate(CheckExpectation(step.expect(i)), absl::StrCat("expectation ", i + 1)));
  }
  if (static_cast<size_t>(step.extract_size()) > limits.expectations_per_step) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "it has ", step.extract_size(), " extracts; the most are ", limits.expectations_per_step));
  }
  std::set<std::string> names;
  for (const v1::Extract& extract : step.extract()) {
    ABSL_RETURN_IF_ERROR(
        Annotate(CheckExtract(extract), absl::StrCat("extract '", extract.name(), "'")));
    if (!names.insert(extract.name()).second) {
      return Bad("extract '", extract.name(), "' is there twice");
    }
    for (const v1::SecretRef& secret : test.secrets()) {
      if (secret.name() == extract.name()) {
        return Bad("extract '", extract.name(), "' shares its name with a secret");
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace picket
