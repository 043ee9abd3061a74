#include "agent/engine/subject.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "picket/v1/result.pb.h"

namespace picket {
namespace {

using State = Actual::State;

void SetText(absl::string_view text, Actual& out) {
  out.state = State::kPresent;
  out.form = Actual::Form::kText;
  out.text = text;
}

void SetOwnedText(std::string text, Actual& out) {
  out.owned = std::move(text);
  SetText(out.owned, out);
}

void SetJson(Json value, Actual& out) {
  out.state = State::kPresent;
  out.form = Actual::Form::kJson;
  out.owned_json = std::move(value);
  out.json = &out.owned_json;
}

// A bound of ours makes it unjudgeable; everything else is the answer's fault.
void SetError(const absl::Status& status, absl::string_view what, Actual& out) {
  out.state = absl::IsResourceExhausted(status) ? State::kUnjudgeable : State::kWrong;
  out.why = absl::StrCat(what, status.message());
}

void LookJson(const ReadySubject& subject, StepAnswer& answer, const WorkLimits& work, Actual& out) {
  const absl::StatusOr<Json>& body = answer.AsJson();
  if (!body.ok()) return SetError(body.status(), "the body is ", out);
  auto nodes = subject.path->Evaluate(*body, work.jsonpath_nodes);
  if (!nodes.ok()) return SetError(nodes.status(), "", out);
  if (subject.path->singular()) {
    if (nodes->empty()) return;
    out.state = State::kPresent;
    out.form = Actual::Form::kJson;
    out.json = nodes->front();
    return;
  }
  Json::array_t array;
  array.reserve(nodes->size());
  for (const Json* node : *nodes) array.push_back(*node);
  SetJson(Json(std::move(array)), out);
  out.form = Actual::Form::kNodes;
}

void LookXPath(const ReadySubject& subject, StepAnswer& answer, const WorkLimits& work,
               Actual& out) {
  const auto& document = answer.AsXPathDocument();
  if (!document.ok()) return SetError(document.status(), "", out);
  absl::StatusOr<XPathValue> value = subject.xpath->Evaluate(**document, work.xpath_operations);
  if (!value.ok()) {
    // An expression that cannot be evaluated says nothing about the target.
    out.state = State::kUnjudgeable;
    out.why = std::string(value.status().message());
    return;
  }
  if (auto* nodes = std::get_if<std::vector<std::string>>(&value->value)) {
    out.counted = true;
    out.count = nodes->size();
    if (!nodes->empty()) SetOwnedText(std::move(nodes->front()), out);
  } else if (auto* text = std::get_if<std::string>(&value->value)) {
    SetOwnedText(std::move(*text), out);
  } else if (auto* number = std::get_if<double>(&value->value)) {
    if (!std::isfinite(*number)) {
      out.state = State::kWrong;
      out.why = "not a number";
    } else if (*number == std::trunc(*number) && std::abs(*number) < 1e15) {
      SetOwnedText(absl::StrCat(static_cast<int64_t>(*number)), out);
    } else {
      SetOwnedText(picket::ToText(Json(*number)), out);
    }
  } else {
    SetOwnedText(std::get<bool>(value->value) ? "true" : "false", out);
  }
}

std::optional<uint32_t> PhaseOf(const PhaseTimes& times, absl::string_view name) {
  if (name.empty() || name == "total") return times.total;
  if (name == "dns") return times.dns;
  if (name == "connect") return times.connect;
  if (name == "tls") return times.tls;
  if (name == "send") return times.send;
  if (name == "first_byte") return times.first_byte;
  if (name == "transfer") return times.transfer;
  return std::nullopt;
}

absl::Time TimeOf(const google::protobuf::Timestamp& stamp) {
  return absl::FromUnixSeconds(stamp.seconds()) + absl::Nanoseconds(stamp.nanos());
}

void LookCertificate(absl::string_view field, const StepAnswer& answer, Actual& out) {
  const auto& chain = answer.last.certificates;
  if (chain.empty()) return;
  const v1::Certificate& leaf = chain.front();
  if (field.empty() || field == "days_left") {
    const double days =
        absl::FDivDuration(TimeOf(leaf.not_after_time()) - answer.now, absl::Hours(24));
    SetJson(Json(static_cast<int64_t>(std::floor(days))), out);
  } else if (field == "issuer") {
    SetText(leaf.issuer(), out);
  } else if (field == "subject") {
    SetText(leaf.subject(), out);
  } else if (field == "fingerprint") {
    SetText(leaf.fingerprint(), out);
  } else if (field == "not_before" || field == "not_after") {
    const auto& stamp = field == "not_before" ? leaf.not_before_time() : leaf.not_after_time();
    SetOwnedText(absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", TimeOf(stamp), absl::UTCTimeZone()), out);
  } else if (field == "san") {
    Json names = Json::array();
    for (const std::string& name : leaf.subject_alternative_names()) names.push_back(name);
    SetJson(std::move(names), out);
  } else if (field == "chain") {
    Json subjects = Json::array();
    for (const v1::Certificate& certificate : chain) subjects.push_back(certificate.subject());
    SetJson(std::move(subjects), out);
  } else {
    out.state = State::kUnjudgeable;
    out.why = absl::StrCat("a certificate has no field '", field, "'");
  }
}

void LookTls(absl::string_view field, const StepAnswer& answer, Actual& out) {
  if (field == "cipher") {
    if (!answer.last.tls_cipher.empty()) SetText(answer.last.tls_cipher, out);
    return;
  }
  // "TLSv1.3" and "1.3" are one; "TLSv1" is 1.0.
  absl::string_view version = answer.last.tls_version;
  absl::ConsumePrefix(&version, "TLSv");
  if (version == "1") version = "1.0";
  if (!version.empty()) SetText(version, out);
}

}  // namespace

void AddTimes(const PhaseTimes& hop, PhaseTimes& sum) {
  const auto add = [](const std::optional<uint32_t>& from, std::optional<uint32_t>& to) {
    if (from.has_value()) to = to.value_or(0) + *from;
  };
  add(hop.dns, sum.dns);
  add(hop.connect, sum.connect);
  add(hop.tls, sum.tls);
  add(hop.send, sum.send);
  add(hop.first_byte, sum.first_byte);
  add(hop.transfer, sum.transfer);
  sum.total += hop.total;
}

const absl::StatusOr<Json>& StepAnswer::AsJson() {
  if (!json_.has_value()) json_ = ParseJson(last.body);
  return *json_;
}

const absl::StatusOr<std::unique_ptr<XPathDocument>>& StepAnswer::AsXPathDocument() {
  if (!document_.has_value()) {
    document_ =
        XPathDocument::Parse(last.body, JoinedHeader(last.headers, "content-type").value_or(""));
  }
  return *document_;
}

std::optional<std::string> JoinedHeader(const HeaderList& headers, absl::string_view name) {
  std::optional<std::string> joined;
  for (const auto& [field, value] : headers) {
    if (!absl::EqualsIgnoreCase(field, name)) continue;
    if (joined.has_value()) {
      absl::StrAppend(&*joined, ", ", value);
    } else {
      joined = value;
    }
  }
  return joined;
}

void Look(const ReadySubject& subject, StepAnswer& answer, const WorkLimits& work, Actual& out) {
  const TransferResult& last = answer.last;
  switch (subject.kind) {
    case v1::Subject::status:
      if (last.status != 0) SetJson(Json(last.status), out);
      return;
    case v1::Subject::header:
      if (auto value = JoinedHeader(last.headers, subject.argument)) {
        SetOwnedText(*std::move(value), out);
      }
      return;
    case v1::Subject::body:
      return SetText(last.body, out);
    case v1::Subject::json:
      return LookJson(subject, answer, work, out);
    case v1::Subject::xpath:
      return LookXPath(subject, answer, work, out);
    case v1::Subject::time:
      if (auto us = PhaseOf(answer.times, subject.argument)) {
        SetJson(Json(*us), out);
        out.unit = Actual::Unit::kMicroseconds;
      }
      return;
    case v1::Subject::size:
      return SetJson(Json(subject.argument == "wire" ? last.wire_body_bytes
                                                     : static_cast<uint64_t>(last.body.size())),
                     out);
    case v1::Subject::redirects:
      return SetJson(Json(answer.redirects), out);
    case v1::Subject::http_version:
      if (!last.http_version.empty()) SetText(last.http_version, out);
      return;
    case v1::Subject::certificate:
      return LookCertificate(subject.argument, answer, out);
    case v1::Subject::ip:
      if (!last.address.empty()) SetText(last.address, out);
      return;
    case v1::Subject::cookie:
      for (const Cookie& cookie : answer.cookies) {
        if (cookie.name == subject.argument) SetText(cookie.value, out);
      }
      return;
    case v1::Subject::tls:
      return LookTls(subject.argument, answer, out);
    default:
      out.state = State::kUnjudgeable;
      out.why = "this agent does not know the subject";
  }
}

std::string SubjectLabel(v1::Subject::Value kind, absl::string_view argument) {
  const std::string& name = v1::Subject::Value_Name(kind);
  if (argument.empty()) return name;
  return absl::StrCat(name, " ", argument);
}

}  // namespace picket
