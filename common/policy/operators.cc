#include "common/policy/operators.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"

namespace picket {
namespace {

using Op = v1::Operator;
using Sub = v1::Subject;

constexpr OperatorSet kEqual = Bit(Op::is) | Bit(Op::is_not) | Bit(Op::one_of);
constexpr OperatorSet kOrder =
    Bit(Op::above) | Bit(Op::below) | Bit(Op::at_least) | Bit(Op::at_most);
constexpr OperatorSet kParts = Bit(Op::contains) | Bit(Op::not_contains) | Bit(Op::starts_with) |
                               Bit(Op::ends_with) | Bit(Op::matches) | Bit(Op::not_matches);
constexpr OperatorSet kText = kEqual | kParts;

constexpr std::array kRows = {
    SubjectRow{Sub::status, "", ValueKind::kStatus, kEqual | kOrder},
    SubjectRow{Sub::header, "", ValueKind::kText, kText | kOrder | Bit(Op::exists)},
    SubjectRow{Sub::body, "", ValueKind::kText, kText},
    SubjectRow{Sub::json, "", ValueKind::kJson,
               kText | kOrder | Bit(Op::exists) | Bit(Op::count) | Bit(Op::type) | Bit(Op::schema)},
    SubjectRow{Sub::xpath, "", ValueKind::kText, kText | kOrder | Bit(Op::exists) | Bit(Op::count)},
    SubjectRow{Sub::time, "", ValueKind::kTime, kOrder | Bit(Op::regression)},
    SubjectRow{Sub::size, "", ValueKind::kSize, kEqual | kOrder},
    SubjectRow{Sub::redirects, "", ValueKind::kNumber, kEqual | kOrder},
    SubjectRow{Sub::http_version, "", ValueKind::kText, kEqual | kOrder},
    SubjectRow{Sub::certificate, "days_left", ValueKind::kNumber, kEqual | kOrder},
    SubjectRow{Sub::certificate, "issuer", ValueKind::kText, kText},
    SubjectRow{Sub::certificate, "subject", ValueKind::kText, kText},
    SubjectRow{Sub::certificate, "san", ValueKind::kTexts,
               Bit(Op::contains) | Bit(Op::not_contains) | Bit(Op::count) | Bit(Op::exists)},
    SubjectRow{Sub::certificate, "chain", ValueKind::kTexts,
               Bit(Op::contains) | Bit(Op::not_contains) | Bit(Op::count) | Bit(Op::exists)},
    SubjectRow{Sub::certificate, "fingerprint", ValueKind::kText, kEqual},
    SubjectRow{Sub::ip, "", ValueKind::kText, kText},
    SubjectRow{Sub::cookie, "", ValueKind::kText, kText | kOrder | Bit(Op::exists)},
    SubjectRow{Sub::tls, "version", ValueKind::kText, kEqual | kOrder},
    SubjectRow{Sub::tls, "cipher", ValueKind::kText, kText},
};

constexpr std::array kForms = {
    SubjectForm{Sub::status, "", false, "", ""},
    SubjectForm{Sub::header, "name", true, "", ""},
    SubjectForm{Sub::body, "", false, "", ""},
    SubjectForm{Sub::json, "path", true, "", ""},
    SubjectForm{Sub::xpath, "path", true, "", ""},
    SubjectForm{Sub::time, "phase", false, "total",
                "dns connect tls send first_byte transfer total"},
    SubjectForm{Sub::size, "of", false, "decoded", "decoded wire"},
    SubjectForm{Sub::redirects, "", false, "", ""},
    SubjectForm{Sub::http_version, "", false, "", ""},
    SubjectForm{Sub::certificate, "field", true, "", "days_left issuer subject san chain fingerprint"},
    SubjectForm{Sub::ip, "", false, "", ""},
    SubjectForm{Sub::cookie, "name", true, "", ""},
    SubjectForm{Sub::tls, "field", true, "", "version cipher"},
};

}  // namespace

std::span<const SubjectRow> SubjectRows() { return kRows; }
std::span<const SubjectForm> SubjectForms() { return kForms; }

const SubjectForm& FormOf(v1::Subject::Value subject) {
  for (const SubjectForm& form : kForms) {
    if (form.subject == subject) return form;
  }
  PICKET_CHECK(subject != Sub::SUBJECT_UNSPECIFIED);
  return kForms[0];
}

const SubjectRow* FindSubjectRow(v1::Subject::Value subject, absl::string_view argument) {
  for (const SubjectForm& form : kForms) {
    if (form.subject != subject || form.choices.empty()) continue;
    bool known = false;
    for (absl::string_view choice : absl::StrSplit(form.choices, ' ')) known |= choice == argument;
    if (!known) return nullptr;
  }
  for (const SubjectRow& row : kRows) {
    if (row.subject == subject && (row.argument.empty() || row.argument == argument)) return &row;
  }
  return nullptr;
}

OperatorSet OperatorsOf(v1::Subject::Value subject) {
  OperatorSet all = 0;
  for (const SubjectRow& row : kRows) {
    if (row.subject == subject) all |= row.operators;
  }
  return all;
}

std::vector<v1::Subject::Value> AllSubjects() {
  std::vector<v1::Subject::Value> all;
  for (int i = 1; i < Sub::Value_ARRAYSIZE; ++i) all.push_back(static_cast<Sub::Value>(i));
  return all;
}

std::vector<v1::Operator::Value> AllOperators() {
  std::vector<v1::Operator::Value> all;
  for (int i = 1; i < Op::Value_ARRAYSIZE; ++i) all.push_back(static_cast<Op::Value>(i));
  return all;
}

std::string OperatorNames(OperatorSet operators) {
  std::string names;
  for (v1::Operator::Value op : AllOperators()) {
    if ((operators & Bit(op)) == 0) continue;
    absl::StrAppend(&names, names.empty() ? "" : ", ", Op::Value_Name(op));
  }
  return names;
}

absl::string_view ValueKindName(ValueKind kind) {
  switch (kind) {
    case ValueKind::kStatus:
      return "status code or class";
    case ValueKind::kNumber:
      return "number";
    case ValueKind::kText:
      return "text";
    case ValueKind::kTexts:
      return "list of texts";
    case ValueKind::kJson:
      return "any JSON value";
    case ValueKind::kTime:
      return "duration";
    case ValueKind::kSize:
      return "size";
  }
  return "";
}

}  // namespace picket
