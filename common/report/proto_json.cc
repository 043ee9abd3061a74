#include "common/report/proto_json.h"

#include <google/protobuf/descriptor.h>

#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/expr/json.h"
#include "common/report/escape.h"

namespace picket {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// "2024-01-02T03:04:05Z" with 0, 3, 6 or 9 digits of fraction, as many as are needed.
std::string Fraction(int64_t nanos) {
  if (nanos == 0) return "";
  if (nanos % 1'000'000 == 0) return absl::StrFormat(".%03d", nanos / 1'000'000);
  if (nanos % 1'000 == 0) return absl::StrFormat(".%06d", nanos / 1'000);
  return absl::StrFormat(".%09d", nanos);
}

void SecondsAndNanos(const Message& message, int64_t& seconds, int32_t& nanos) {
  const auto* descriptor = message.GetDescriptor();
  seconds = message.GetReflection()->GetInt64(message, descriptor->FindFieldByNumber(1));
  nanos = message.GetReflection()->GetInt32(message, descriptor->FindFieldByNumber(2));
}

bool AppendWellKnown(const Message& message, std::string& out) {
  const std::string& name = message.GetDescriptor()->full_name();
  int64_t seconds = 0;
  int32_t nanos = 0;
  if (name == "google.protobuf.Timestamp") {
    SecondsAndNanos(message, seconds, nanos);
    absl::StrAppend(&out, "\"",
                    absl::FormatTime("%E4Y-%m-%dT%H:%M:%S", absl::FromUnixSeconds(seconds),
                                     absl::UTCTimeZone()),
                    Fraction(nanos), "Z\"");
    return true;
  }
  if (name == "google.protobuf.Duration") {
    SecondsAndNanos(message, seconds, nanos);
    const bool negative = seconds < 0 || nanos < 0;
    absl::StrAppend(&out, "\"", negative ? "-" : "", negative ? -seconds : seconds,
                    Fraction(negative ? -nanos : nanos), "s\"");
    return true;
  }
  return false;
}

void AppendDouble(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "\"NaN\"";
  } else if (std::isinf(value)) {
    out += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  } else {
    absl::StrAppendFormat(&out, "%.17g", value);
  }
}

void AppendEnum(const google::protobuf::EnumDescriptor* type, int number, std::string& out) {
  const auto* value = type->FindValueByNumber(number);
  if (value == nullptr) {
    absl::StrAppend(&out, number);
  } else {
    absl::StrAppend(&out, "\"", value->name(), "\"");
  }
}

void AppendText(const FieldDescriptor* field, const std::string& text, std::string& out) {
  if (field->type() == FieldDescriptor::TYPE_BYTES) {
    absl::StrAppend(&out, "\"", absl::Base64Escape(text), "\"");
  } else {
    out += QuoteJson(text);
  }
}

// `index` < 0: the singular field.
void AppendValue(const Message& m, const FieldDescriptor* f, int index, std::string& out) {
  const Reflection* r = m.GetReflection();
  const bool one = index < 0;
  std::string scratch;
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      out += (one ? r->GetBool(m, f) : r->GetRepeatedBool(m, f, index)) ? "true" : "false";
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      absl::StrAppend(&out, one ? r->GetInt32(m, f) : r->GetRepeatedInt32(m, f, index));
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      absl::StrAppend(&out, one ? r->GetUInt32(m, f) : r->GetRepeatedUInt32(m, f, index));
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      absl::StrAppend(&out, "\"", one ? r->GetInt64(m, f) : r->GetRepeatedInt64(m, f, index), "\"");
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      absl::StrAppend(&out, "\"", one ? r->GetUInt64(m, f) : r->GetRepeatedUInt64(m, f, index),
                      "\"");
      break;
    case FieldDescriptor::CPPTYPE_FLOAT:
      AppendDouble(one ? r->GetFloat(m, f) : r->GetRepeatedFloat(m, f, index), out);
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      AppendDouble(one ? r->GetDouble(m, f) : r->GetRepeatedDouble(m, f, index), out);
      break;
    case FieldDescriptor::CPPTYPE_ENUM:
      AppendEnum(f->enum_type(), one ? r->GetEnumValue(m, f) : r->GetRepeatedEnumValue(m, f, index),
                 out);
      break;
    case FieldDescriptor::CPPTYPE_STRING:
      AppendText(f,
                 one ? r->GetStringReference(m, f, &scratch)
                     : r->GetRepeatedStringReference(m, f, index, &scratch),
                 out);
      break;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      AppendProtoJson(one ? r->GetMessage(m, f) : r->GetRepeatedMessage(m, f, index), out);
      break;
  }
}

void AppendMap(const Message& message, const FieldDescriptor* field, std::string& out) {
  const Reflection* reflection = message.GetReflection();
  const auto* entry = field->message_type();
  out += '{';
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    const Message& item = reflection->GetRepeatedMessage(message, field, i);
    if (i > 0) out += ',';
    const FieldDescriptor* key = entry->map_key();
    std::string text;
    AppendValue(item, key, -1, text);
    if (text.empty() || text[0] != '"') text = absl::StrCat("\"", text, "\"");
    absl::StrAppend(&out, text, ":");
    AppendValue(item, entry->map_value(), -1, out);
  }
  out += '}';
}

void AppendField(const Message& message, const FieldDescriptor* field, std::string& out) {
  if (field->is_map()) return AppendMap(message, field, out);
  if (!field->is_repeated()) return AppendValue(message, field, -1, out);
  out += '[';
  for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
    if (i > 0) out += ',';
    AppendValue(message, field, i, out);
  }
  out += ']';
}

}  // namespace

void AppendProtoJson(const Message& message, std::string& out) {
  if (AppendWellKnown(message, out)) return;
  const auto* descriptor = message.GetDescriptor();
  out += '{';
  bool first = true;
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (field->has_presence() && !message.GetReflection()->HasField(message, field)) continue;
    if (!first) out += ',';
    first = false;
    absl::StrAppend(&out, "\"", field->name(), "\":");
    AppendField(message, field, out);
  }
  out += '}';
}

std::string ProtoJson(const Message& message) {
  std::string out;
  AppendProtoJson(message, out);
  return out;
}

std::string PrettyProtoJson(const Message& message) {
  const std::string compact = ProtoJson(message);
  const absl::StatusOr<Json> parsed = ParseJson(compact);
  return parsed.ok() ? parsed->dump(2, ' ', false, Json::error_handler_t::replace) : compact;
}

}  // namespace picket
