// File: compiled_test.h
//
// A test made ready to run. Everything that can be parsed once is parsed here; what holds
// a placeholder is rendered, and then parsed, in each attempt.
//
// Thread rule: immutable after CompileTest; shared by attempts on any thread.

#ifndef AGENT_ENGINE_COMPILED_TEST_H_
#define AGENT_ENGINE_COMPILED_TEST_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "agent/engine/transfer.h"
#include "agent/engine/xpath.h"
#include "common/expr/json.h"
#include "common/expr/json_schema.h"
#include "common/expr/jsonpath.h"
#include "common/expr/template.h"
#include "common/policy/regex.h"
#include "picket/v1/suite.pb.h"

namespace picket {

using TemplatePair = std::pair<Template, Template>;

// A JSON value, constant or with templates in its strings.
struct CompiledJson {
  bool constant = true;
  Json value;         // if constant
  JsonTemplate tree;  // else
};

struct CompiledOperation {
  v1::Operator::Value op = v1::Operator::OPERATOR_UNSPECIFIED;
  CompiledJson operand;
  // For a constant operand of (not_)matches and schema.
  std::shared_ptr<const Regex> regex;
  std::shared_ptr<const JsonSchema> schema;
};

// What is looked at, by an expectation or an extract.
struct CompiledSubject {
  v1::Subject::Value kind = v1::Subject::SUBJECT_UNSPECIFIED;
  bool constant = true;
  std::string argument;                  // if constant
  Template argument_template;            // else
  std::shared_ptr<const JsonPath> path;  // json, if constant
  std::shared_ptr<const XPath> xpath;    // xpath, if constant
  bool reads_body() const {
    return kind == v1::Subject::body || kind == v1::Subject::json || kind == v1::Subject::xpath;
  }
};

struct CompiledExpectation {
  CompiledSubject subject;
  std::vector<CompiledOperation> operations;
};

struct CompiledExtract {
  std::string name;
  CompiledSubject subject;  // json, header, body, xpath, cookie or status
  // With body: what to search, and which group of it.
  std::shared_ptr<const Regex> regex;
  int group = 0;
};

struct CompiledPart {
  Template name, text, content_type;
  std::string file_name;
  std::shared_ptr<const std::string> file;  // null = text
};

struct CompiledBody {
  v1::Body::KindCase kind = v1::Body::KIND_NOT_SET;
  Template text;  // text, base64
  CompiledJson json;
  std::string json_text;  // of a constant json
  std::vector<TemplatePair> fields;
  std::vector<CompiledPart> parts;
  std::shared_ptr<const std::string> file;
};

struct CompiledAuth {
  v1::Auth::KindCase kind = v1::Auth::KIND_NOT_SET;
  // basic, digest: user, password. bearer: token. aws: key id, secret, token, region, service.
  std::vector<Template> fields;
};

struct CompiledStep {
  const v1::Step* step = nullptr;  // within CompiledTest::test
  const v1::HttpCheck* http = nullptr;
  Template method, url, proxy;
  std::vector<TemplatePair> query, headers, cookies;
  CompiledBody body;
  CompiledAuth auth;
  std::vector<std::pair<std::string, Template>> resolve;  // lower-case host
  TlsOptions tls;                                         // without server_name
  Template server_name;
  size_t body_limit = 0;
  std::vector<CompiledExpectation> expect;
  std::vector<CompiledExtract> extract;
  bool reads_body = false;  // some expectation or extract does
};

struct CompiledVariable {
  std::string name;
  CompiledJson json;
  TemplateValue constant;  // of a constant json
};

class CompiledTest {
 public:
  CompiledTest() = default;
  CompiledTest(const CompiledTest&) = delete;
  CompiledTest& operator=(const CompiledTest&) = delete;

  v1::Test test;  // without its rows
  absl::Duration timeout;
  std::vector<CompiledVariable> vars;
  std::vector<std::string> secrets;  // declared and used, each once
  std::vector<CompiledStep> steps;
};

}  // namespace picket

#endif  // AGENT_ENGINE_COMPILED_TEST_H_
