#include "agent/engine/compiled_test.h"

#include <set>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/engine.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

class Compiler {
 public:
  Compiler(const FileContents& files, CompiledTest& out) : files_(files), out_(out) {}

  absl::Status Run(const v1::Test& test) {
    out_.test = test;
    out_.test.clear_for_each();
    const Limits& limits = DefaultLimits();
    out_.timeout = test.has_timeout() ? absl::Seconds(test.timeout().seconds()) +
                                            absl::Nanoseconds(test.timeout().nanos())
                                      : limits.timeout_default;
    if (out_.timeout <= absl::ZeroDuration() || out_.timeout > limits.timeout_longest) {
      return absl::InvalidArgumentError(
          absl::StrCat("timeout: ", absl::FormatDuration(out_.timeout), " is not between 0 and ",
                       absl::FormatDuration(limits.timeout_longest)));
    }
    for (const v1::Variable& variable : out_.test.vars()) {
      ABSL_RETURN_IF_ERROR(Annotate(Variable(variable), absl::StrCat("vars.", variable.name())));
    }
    if (out_.test.steps().empty()) {
      return absl::InvalidArgumentError("steps: a test has at least one step");
    }
    int number = 0;
    for (const v1::Step& step : out_.test.steps()) {
      out_.steps.emplace_back();
      ABSL_RETURN_IF_ERROR(
          Annotate(Step(step, out_.steps.back()), absl::StrCat("steps[", number++, "]")));
    }
    absl::flat_hash_set<std::string> told;
    for (const v1::SecretRef& secret : out_.test.secrets()) {
      if (used_.contains(secret.name()) && told.insert(secret.name()).second) {
        out_.secrets.push_back(secret.name());
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<Template> Text(absl::string_view text, absl::string_view field) {
    absl::StatusOr<Template> parsed = Template::Parse(text);
    if (!parsed.ok()) return Annotate(parsed.status(), field);
    used_.insert(parsed->variables().begin(), parsed->variables().end());
    return parsed;
  }

  absl::Status Text(absl::string_view text, absl::string_view field, Template& out) {
    ABSL_ASSIGN_OR_RETURN(out, Text(text, field));
    return absl::OkStatus();
  }

  template <typename Repeated>
  absl::Status Pairs(const Repeated& pairs, absl::string_view field,
                     std::vector<TemplatePair>& out) {
    for (const v1::NameValue& pair : pairs) {
      ABSL_ASSIGN_OR_RETURN(Template name, Text(pair.name(), absl::StrCat(field, " name")));
      ABSL_ASSIGN_OR_RETURN(Template value,
                            Text(pair.value(), absl::StrCat(field, ".", pair.name())));
      out.emplace_back(std::move(name), std::move(value));
    }
    return absl::OkStatus();
  }

  absl::Status JsonText(const std::string& text, CompiledJson& out) {
    ABSL_ASSIGN_OR_RETURN(Json value, ParseJson(text));
    // "{{" may be written with \u007b, which the tree shows and the text does not.
    out.constant = !absl::StrContains(text, "{{") && !absl::StrContains(text, "\\u007");
    if (out.constant) {
      out.value = std::move(value);
      return absl::OkStatus();
    }
    ABSL_ASSIGN_OR_RETURN(out.tree, JsonTemplate::Parse(std::move(value)));
    used_.insert(out.tree.variables().begin(), out.tree.variables().end());
    return absl::OkStatus();
  }

  absl::Status Variable(const v1::Variable& variable) {
    CompiledVariable out;
    out.name = variable.name();
    ABSL_RETURN_IF_ERROR(JsonText(variable.json(), out.json));
    if (out.json.constant) out.constant.value = std::move(out.json.value);
    out_.vars.push_back(std::move(out));
    return absl::OkStatus();
  }

  absl::StatusOr<std::shared_ptr<const std::string>> File(const std::string& path) {
    for (const v1::FileRef& file : out_.test.files()) {
      if (file.path() != path) continue;
      auto it = files_.find(file.sha256());
      if (it == files_.end() || it->second == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("the contents of the file '", path, "' did not come with the test"));
      }
      return it->second;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("the file '", path, "' is not among the test's files"));
  }

  absl::Status OptionalFile(const std::string& path, absl::string_view field,
                            std::shared_ptr<const std::string>& out) {
    if (path.empty()) return absl::OkStatus();
    auto contents = File(path);
    if (!contents.ok()) return Annotate(contents.status(), field);
    out = *contents;
    return absl::OkStatus();
  }

  absl::Status Body(const v1::Body& body, CompiledBody& out) {
    out.kind = body.kind_case();
    switch (body.kind_case()) {
      case v1::Body::kText:
        return Text(body.text(), "body.text", out.text);
      case v1::Body::kBase64:
        return Text(body.base64(), "body.base64", out.text);
      case v1::Body::kJson:
        ABSL_RETURN_IF_ERROR(Annotate(JsonText(body.json(), out.json), "body.json"));
        if (out.json.constant) out.json_text = picket::ToText(out.json.value);
        return absl::OkStatus();
      case v1::Body::kForm:
        return Pairs(body.form().fields(), "body.form", out.fields);
      case v1::Body::kFile:
        return OptionalFile(body.file(), "body.file", out.file);
      case v1::Body::kMultipart:
        for (const auto& part : body.multipart().parts()) {
          ABSL_RETURN_IF_ERROR(
              Annotate(Part(part, out), absl::StrCat("body.multipart.", part.name())));
        }
        return absl::OkStatus();
      case v1::Body::KIND_NOT_SET:
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  absl::Status Part(const v1::Multipart::Part& part, CompiledBody& body) {
    CompiledPart out;
    ABSL_RETURN_IF_ERROR(Text(part.name(), "name", out.name));
    std::string type = part.content_type();
    out.file_name = part.file_name();
    if (part.content_case() == v1::Multipart::Part::kFile) {
      ABSL_ASSIGN_OR_RETURN(out.file, File(part.file()));
      if (type.empty()) type = "application/octet-stream";
      if (out.file_name.empty()) out.file_name = part.file().substr(part.file().rfind('/') + 1);
    } else {
      ABSL_RETURN_IF_ERROR(Text(part.text(), "text", out.text));
    }
    ABSL_RETURN_IF_ERROR(Text(type, "content_type", out.content_type));
    body.parts.push_back(std::move(out));
    return absl::OkStatus();
  }

  absl::Status Auth(const v1::Auth& auth, CompiledAuth& out) {
    out.kind = auth.kind_case();
    std::vector<std::string> texts;
    switch (auth.kind_case()) {
      case v1::Auth::kBasic:
        texts = {auth.basic().username(), auth.basic().password()};
        break;
      case v1::Auth::kDigest:
        texts = {auth.digest().username(), auth.digest().password()};
        break;
      case v1::Auth::kBearer:
        texts = {auth.bearer()};
        break;
      case v1::Auth::kAwsSigv4: {
        const auto& aws = auth.aws_sigv4();
        texts = {aws.access_key_id(), aws.secret_access_key(), aws.session_token(), aws.region(),
                 aws.service()};
        break;
      }
      case v1::Auth::KIND_NOT_SET:
        break;
    }
    for (const std::string& text : texts) {
      out.fields.emplace_back();
      ABSL_RETURN_IF_ERROR(Text(text, "auth", out.fields.back()));
    }
    return absl::OkStatus();
  }

  absl::Status Subject(v1::Subject::Value kind, const std::string& argument, CompiledSubject& out) {
    out.kind = kind;
    out.argument = argument;
    if (absl::StrContains(argument, "{{")) {
      auto parsed = Text(argument, "argument");
      // In a JSONPath or XPath two braces may stand for themselves.
      if (parsed.ok()) {
        out.constant = false;
        out.argument_template = *std::move(parsed);
        return absl::OkStatus();
      }
      if (kind != v1::Subject::json && kind != v1::Subject::xpath) return parsed.status();
    }
    if (kind == v1::Subject::json) {
      ABSL_ASSIGN_OR_RETURN(out.path, JsonPath::Compile(argument));
    } else if (kind == v1::Subject::xpath) {
      ABSL_ASSIGN_OR_RETURN(out.xpath, XPath::Compile(argument));
    }
    return absl::OkStatus();
  }

  absl::Status Operation(const v1::Operation& operation, CompiledOperation& out) {
    out.op = operation.operator_();
    if (out.op == v1::Operator::OPERATOR_UNSPECIFIED) {
      return absl::InvalidArgumentError("an operator is missing");
    }
    ABSL_RETURN_IF_ERROR(JsonText(operation.operand_json(), out.operand));
    if (!out.operand.constant) return absl::OkStatus();
    if (out.op == v1::Operator::matches || out.op == v1::Operator::not_matches) {
      ABSL_ASSIGN_OR_RETURN(out.regex, Regex::Compile(ToPlainText(out.operand.value)));
    } else if (out.op == v1::Operator::schema) {
      ABSL_ASSIGN_OR_RETURN(out.schema, JsonSchema::Compile(out.operand.value));
    }
    return absl::OkStatus();
  }

  absl::Status Expect(const v1::Expectation& expectation, CompiledExpectation& out) {
    ABSL_RETURN_IF_ERROR(Subject(expectation.subject(), expectation.argument(), out.subject));
    if (expectation.operations().empty()) {
      return absl::InvalidArgumentError("an expectation has at least one operator");
    }
    for (const v1::Operation& operation : expectation.operations()) {
      out.operations.emplace_back();
      ABSL_RETURN_IF_ERROR(Annotate(Operation(operation, out.operations.back()),
                                    v1::Operator::Value_Name(operation.operator_())));
    }
    return absl::OkStatus();
  }

  absl::Status Extract(const v1::Extract& extract, CompiledExtract& out) {
    out.name = extract.name();
    switch (extract.from_case()) {
      case v1::Extract::kJson:
        return Subject(v1::Subject::json, extract.json(), out.subject);
      case v1::Extract::kHeader:
        return Subject(v1::Subject::header, extract.header(), out.subject);
      case v1::Extract::kXpath:
        return Subject(v1::Subject::xpath, extract.xpath(), out.subject);
      case v1::Extract::kCookie:
        return Subject(v1::Subject::cookie, extract.cookie(), out.subject);
      case v1::Extract::kStatus:
        return Subject(v1::Subject::status, "", out.subject);
      case v1::Extract::kBody: {
        ABSL_RETURN_IF_ERROR(Subject(v1::Subject::body, "", out.subject));
        ABSL_ASSIGN_OR_RETURN(out.regex, Regex::Compile(extract.body().regex()));
        if (extract.body().group() > static_cast<uint32_t>(out.regex->groups())) {
          return absl::InvalidArgumentError(absl::StrCat("group ", extract.body().group(),
                                                         " does not exist: the pattern has ",
                                                         out.regex->groups()));
        }
        out.group = static_cast<int>(extract.body().group());
        return absl::OkStatus();
      }
      case v1::Extract::FROM_NOT_SET:
        break;
    }
    return absl::InvalidArgumentError("it does not say where to take the value from");
  }

  absl::Status Http(const v1::HttpCheck& http, CompiledStep& out) {
    out.http = &http;
    ABSL_RETURN_IF_ERROR(Text(http.method().empty() ? "GET" : http.method(), "method", out.method));
    ABSL_RETURN_IF_ERROR(Text(http.url(), "url", out.url));
    ABSL_RETURN_IF_ERROR(Text(http.proxy(), "proxy", out.proxy));
    ABSL_RETURN_IF_ERROR(Pairs(http.query(), "query", out.query));
    ABSL_RETURN_IF_ERROR(Pairs(http.headers(), "headers", out.headers));
    ABSL_RETURN_IF_ERROR(Pairs(http.cookies(), "cookies", out.cookies));
    ABSL_RETURN_IF_ERROR(Body(http.body(), out.body));
    ABSL_RETURN_IF_ERROR(Auth(http.auth(), out.auth));
    for (const v1::NameValue& pair : http.resolve()) {
      ABSL_ASSIGN_OR_RETURN(Template address, Text(pair.value(), "resolve"));
      out.resolve.emplace_back(absl::AsciiStrToLower(pair.name()), std::move(address));
    }
    if (http.has_tls()) {
      const v1::Tls& tls = http.tls();
      out.tls.verify = tls.verify();
      out.tls.min_version = tls.min_version();
      ABSL_RETURN_IF_ERROR(OptionalFile(tls.ca(), "tls.ca", out.tls.ca));
      ABSL_RETURN_IF_ERROR(OptionalFile(tls.cert(), "tls.cert", out.tls.cert));
      ABSL_RETURN_IF_ERROR(OptionalFile(tls.key(), "tls.key", out.tls.key));
      ABSL_RETURN_IF_ERROR(Text(tls.server_name(), "tls.server_name", out.server_name));
    }
    out.body_limit =
        http.body_limit_bytes() == 0 ? DefaultLimits().body_limit_default : http.body_limit_bytes();
    if (out.body_limit > DefaultLimits().body_limit_most) {
      return absl::InvalidArgumentError(
          absl::StrCat("body_limit: at most ", DefaultLimits().body_limit_most, " bytes"));
    }
    return absl::OkStatus();
  }

  absl::Status Step(const v1::Step& step, CompiledStep& out) {
    out.step = &step;
    if (!step.has_http()) {
      return absl::InvalidArgumentError("its check is of a type that this agent does not know");
    }
    ABSL_RETURN_IF_ERROR(Http(step.http(), out));
    int number = 0;
    for (const v1::Expectation& expectation : step.expect()) {
      out.expect.emplace_back();
      ABSL_RETURN_IF_ERROR(
          Annotate(Expect(expectation, out.expect.back()), absl::StrCat("expect[", number++, "]")));
      out.reads_body |= out.expect.back().subject.reads_body();
    }
    for (const v1::Extract& extract : step.extract()) {
      out.extract.emplace_back();
      ABSL_RETURN_IF_ERROR(
          Annotate(Extract(extract, out.extract.back()), absl::StrCat("extract.", extract.name())));
      out.reads_body |= out.extract.back().subject.reads_body();
    }
    return absl::OkStatus();
  }

  const FileContents& files_;
  CompiledTest& out_;
  absl::flat_hash_set<std::string> used_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const CompiledTest>> CompileTest(const v1::Test& test,
                                                                const FileContents& files) {
  auto compiled = std::make_shared<CompiledTest>();
  absl::Status status = Compiler(files, *compiled).Run(test);
  if (!status.ok()) {
    // Whatever was exceeded, the test cannot be run as it is.
    return absl::InvalidArgumentError(absl::StrCat("test ", test.suite(), "/",
                                                   test.id().empty() ? test.name() : test.id(),
                                                   ": ", status.message()));
  }
  return std::shared_ptr<const CompiledTest>(std::move(compiled));
}

}  // namespace picket
