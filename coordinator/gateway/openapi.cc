#include "coordinator/gateway/openapi.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/struct.pb.h>

#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/base/version.h"
#include "coordinator/gateway/json.h"
#include "picket/v1/run_service.pb.h"

namespace picket {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Struct;

Struct& Object(Struct& parent, const std::string& key) {
  return *(*parent.mutable_fields())[key].mutable_struct_value();
}
void Set(Struct& parent, const std::string& key, const std::string& text) {
  (*parent.mutable_fields())[key].set_string_value(text);
}
Struct& Append(Struct& parent, const std::string& key) {
  return *(*parent.mutable_fields())[key].mutable_list_value()->add_values()->mutable_struct_value();
}

// One operation of the API.
struct Operation {
  const char* method;
  const char* path;
  const char* id;
  const char* summary;
  const char* query;    // "name:type" separated by spaces
  const char* body;     // message, or "" for none, or "object"
  const char* success;  // status code
  const char* answer;   // message, or a media type
  const char* errors;   // further status codes
};

constexpr Operation kOperations[] = {
    {"get", "/v1/runs", "listRuns", "Runs, newest first.",
     "page_size:integer page_token:string project:string", "", "200", "ListRunsResponse", "400 503"},
    {"post", "/v1/runs", "createRun",
     "Admits a run; answered once it is durable. Idempotent by request_id.", "",
     "CreateRunRequest", "201", "CreateRunResponse", "400 409 413 415 429 503"},
    {"get", "/v1/runs/{run_id}", "getRun", "One run.", "", "", "200", "Run", "404 503"},
    {"post", "/v1/runs/{run_id}:cancel", "cancelRun",
     "Seals the run with what is undecided cancelled. Of a sealed run: no change.", "", "", "200",
     "Run", "404 503"},
    {"get", "/v1/runs/{run_id}/executions", "listExecutions", "A run's executions, by number.",
     "view:string only_failures:boolean or_flaky:boolean page_size:integer page_token:string", "", "200",
     "ListExecutionsResponse", "400 404 503"},
    {"get", "/v1/runs/{run_id}/executions/{execution}/attempts/{attempt}/evidence", "getEvidence",
     "What was kept of one attempt.", "", "", "200", "Evidence", "400 404 503"},
    {"get", "/v1/runs/{run_id}/watch", "watchRun",
     "Server-sent events: `state` with a WatchRunResponse each, then `end`.", "", "", "200",
     "text/event-stream", "404 503"},
    {"get", "/v1/runs/{run_id}/verdict", "getVerdict",
     "The run, once it is sealed or `wait` has passed.", "wait:string", "", "200", "Run",
     "400 404 503"},
    {"get", "/v1/runs/{run_id}/gate", "gate",
     "The verdict as a status code: 200 only if PASSED, 412 FAILED, 409 INCONCLUSIVE, 503 while "
     "it runs.",
     "wait:string", "", "200", "Run", "400 404 409 412 503"},
    {"get", "/v1/runs/{run_id}/reports/junit", "reportJunit", "The sealed run as JUnit.",
     "wait:string", "", "200", "application/xml", "400 404 409 503"},
    {"get", "/v1/runs/{run_id}/reports/json", "reportJson", "The sealed run as JSON.",
     "wait:string", "", "200", "Report", "400 404 409 503"},
    {"get", "/v1/runs/{run_id}/reports/ctrf", "reportCtrf",
     "The sealed run in the Common Test Report Format.", "wait:string", "", "200", "object",
     "400 404 409 503"},
    {"get", "/v1/runs/{run_id}/reports/tap", "reportTap", "The sealed run as TAP 14.",
     "wait:string", "", "200", "text/plain", "400 404 409 503"},
    {"get", "/v1/runs/{run_id}/reports/markdown", "reportMarkdown",
     "The sealed run as Markdown of at most 1 MiB.", "wait:string", "", "200", "text/markdown",
     "400 404 409 503"},
    {"get", "/v1/runs/{run_id}/reports/html", "reportHtml",
     "The sealed run as one page without script or network.", "wait:string", "", "200",
     "text/html", "400 404 409 503"},
    {"post", "/v1/gate/flagger", "flaggerGate",
     "The gate for Flagger: the body's metadata.run_id names the run.", "", "object", "200", "Run",
     "400 404 409 412 415 503"},
    {"get", "/v1/agents", "listAgents", "The agents.", "page_size:integer page_token:string", "",
     "200", "ListAgentsResponse", "400 503"},
    {"post", "/v1/agents/{agent}:drain", "drainAgent",
     "The agent finishes what it has started and gets no more. Named `name` or `location/name`.",
     "", "", "200", "Agent", "400 404 503"},
    {"get", "/openapi.json", "openapi", "This document.", "", "", "200", "object", ""},
    {"get", "/metrics", "metrics", "The fleet, for Prometheus.", "", "", "200", "text/plain", ""},
    {"get", "/probes", "probes", "The latest results of targets, for Prometheus.", "", "", "200",
     "text/plain", ""},
    {"get", "/healthz", "healthz", "The process lives.", "", "", "200", "text/plain", ""},
    {"get", "/readyz", "readyz", "The store answers.", "", "", "200", "text/plain", "503"},
};

const Descriptor* MessageNamed(const std::string& name) {
  return v1::Run::descriptor()->file()->pool()->FindMessageTypeByName("picket.v1." + name);
}

std::string SchemaName(const Descriptor& message) {
  return message.full_name().substr(sizeof("picket.v1.") - 1);
}

void WriteEnum(const EnumDescriptor& values, Struct& schema) {
  Set(schema, "type", "string");
  auto* list = (*schema.mutable_fields())["enum"].mutable_list_value();
  for (int i = 0; i < values.value_count(); ++i) {
    list->add_values()->set_string_value(values.value(i)->name());
  }
}

// As protobuf's JSON mapping has it.
void WriteType(const FieldDescriptor& field, Struct& schema,
               std::vector<const Descriptor*>& wanted) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return Set(schema, "type", "boolean");
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_UINT32:
      return Set(schema, "type", "integer");
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT64:
      Set(schema, "type", "string");
      return Set(schema, "format", "int64");
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return Set(schema, "type", "number");
    case FieldDescriptor::CPPTYPE_ENUM:
      return WriteEnum(*field.enum_type(), schema);
    case FieldDescriptor::CPPTYPE_STRING:
      Set(schema, "type", "string");
      if (field.type() == FieldDescriptor::TYPE_BYTES) Set(schema, "contentEncoding", "base64");
      return;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  const Descriptor& message = *field.message_type();
  if (message.full_name() == "google.protobuf.Timestamp") {
    Set(schema, "type", "string");
    return Set(schema, "format", "date-time");
  }
  if (message.full_name() == "google.protobuf.Duration") {
    Set(schema, "type", "string");
    return Set(schema, "pattern", "^-?[0-9]+(\\.[0-9]+)?s$");
  }
  wanted.push_back(&message);
  Set(schema, "$ref", "#/components/schemas/" + SchemaName(message));
}

void WriteMessage(const Descriptor& message, Struct& schema,
                  std::vector<const Descriptor*>& wanted) {
  Set(schema, "type", "object");
  Struct& properties = Object(schema, "properties");
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    Struct& property = Object(properties, field.name());
    if (field.is_map()) {
      Set(property, "type", "object");
      WriteType(*field.message_type()->field(1), Object(property, "additionalProperties"), wanted);
    } else if (field.is_repeated()) {
      Set(property, "type", "array");
      WriteType(field, Object(property, "items"), wanted);
    } else {
      WriteType(field, property, wanted);
    }
  }
}

void WriteContent(const std::string& what, Struct& parent,
                  std::vector<const Descriptor*>& wanted) {
  if (absl::StrContains(what, "/")) {
    Set(Object(Object(Object(parent, "content"), what), "schema"), "type", "string");
    return;
  }
  Struct& schema = Object(Object(Object(parent, "content"), "application/json"), "schema");
  if (what == "object") return Set(schema, "type", "object");
  const Descriptor* message = MessageNamed(what);
  wanted.push_back(message);
  Set(schema, "$ref", "#/components/schemas/" + SchemaName(*message));
}

void WriteParameter(const std::string& name, const std::string& in, const std::string& type,
                    Struct& operation) {
  Struct& parameter = Append(operation, "parameters");
  Set(parameter, "name", name);
  Set(parameter, "in", in);
  if (in == "path") (*parameter.mutable_fields())["required"].set_bool_value(true);
  Set(Object(parameter, "schema"), "type", type);
}

void WriteOperation(const Operation& o, Struct& paths, std::vector<const Descriptor*>& wanted) {
  Struct& operation = Object(Object(paths, o.path), o.method);
  Set(operation, "operationId", o.id);
  Set(operation, "summary", o.summary);
  for (absl::string_view part : absl::StrSplit(o.path, '{')) {
    const size_t end = part.find('}');
    if (end == absl::string_view::npos) continue;
    const std::string name(part.substr(0, end));
    const bool number = name == "execution" || name == "attempt";
    WriteParameter(name, "path", number ? "integer" : "string", operation);
  }
  for (absl::string_view parameter : absl::StrSplit(o.query, ' ', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(parameter, ':');
    WriteParameter(parts[0], "query", parts[1], operation);
  }
  if (*o.body != '\0') {
    Struct& body = Object(operation, "requestBody");
    (*body.mutable_fields())["required"].set_bool_value(true);
    WriteContent(o.body, body, wanted);
  }
  Struct& responses = Object(operation, "responses");
  Struct& success = Object(responses, o.success);
  Set(success, "description", o.summary);
  WriteContent(o.answer, success, wanted);
  for (absl::string_view code : absl::StrSplit(o.errors, ' ', absl::SkipEmpty())) {
    Set(Object(responses, std::string(code)), "$ref", "#/components/responses/Problem");
  }
}

}  // namespace

std::string OpenApiDocument() {
  Struct document;
  Set(document, "openapi", "3.1.0");
  Struct& info = Object(document, "info");
  Set(info, "title", "Picket");
  Set(info, "version", std::string(kVersion));
  std::vector<const Descriptor*> wanted;
  Struct& paths = Object(document, "paths");
  for (const Operation& operation : kOperations) WriteOperation(operation, paths, wanted);
  Struct& components = Object(document, "components");
  Struct& problem = Object(Object(components, "responses"), "Problem");
  Set(problem, "description", "A problem (RFC 9457).");
  Struct& members = Object(Object(Object(Object(problem, "content"), "application/problem+json"),
                                  "schema"), "properties");
  for (const char* member : {"type", "title", "detail"}) {
    Set(Object(members, member), "type", "string");
  }
  Set(Object(members, "status"), "type", "integer");
  Struct& schemas = Object(components, "schemas");
  std::set<const Descriptor*> written;
  while (!wanted.empty()) {
    const Descriptor* message = wanted.back();
    wanted.pop_back();
    if (!written.insert(message).second) continue;
    WriteMessage(*message, Object(schemas, SchemaName(*message)), wanted);
  }
  return ToJson(document);
}

}  // namespace picket
