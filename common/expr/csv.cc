#include "common/expr/csv.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/expr/json.h"
#include "common/expr/limits.h"

namespace picket {
namespace {

class CsvReader {
 public:
  CsvReader(absl::string_view text, CsvBounds bounds) : text_(text), bounds_(bounds) {
    if (absl::StartsWith(text_, "\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  absl::StatusOr<CsvTable> Run() {
    if (text_.size() > bounds_.bytes) {
      return Exhausted(line_, absl::StrCat("the table has more than ", bounds_.bytes, " bytes"));
    }
    bool has_header = false;
    while (at_ < text_.size()) {
      if (SkipLineEnd()) continue;
      const size_t first_line = line_;
      std::vector<std::string> record;
      ABSL_RETURN_IF_ERROR(Record(&record));
      if (!has_header) {
        ABSL_RETURN_IF_ERROR(CheckHeader(record, first_line));
        table_.header = std::move(record);
        has_header = true;
        continue;
      }
      ABSL_RETURN_IF_ERROR(AddRow(std::move(record), first_line));
    }
    if (!has_header) return Fail(1, "expected a header, but there is nothing");
    return std::move(table_);
  }

  size_t error_line() const { return error_line_; }

 private:
  absl::Status Fail(size_t line, absl::string_view what) {
    error_line_ = line;
    return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
  }
  absl::Status Exhausted(size_t line, absl::string_view what) {
    error_line_ = line;
    return absl::ResourceExhaustedError(absl::StrCat("line ", line, ": ", what));
  }

  bool At(char c) const { return at_ < text_.size() && text_[at_] == c; }

  // Takes a line end, if there is one.
  bool SkipLineEnd() {
    if (At('\n')) {
      ++at_;
    } else if (absl::StartsWith(text_.substr(at_), "\r\n")) {
      at_ += 2;
    } else {
      return false;
    }
    ++line_;
    return true;
  }

  absl::Status Record(std::vector<std::string>* record) {
    while (true) {
      record->emplace_back();
      ABSL_RETURN_IF_ERROR(At('"') ? Quoted(&record->back()) : Bare(&record->back()));
      if (!IsValidUtf8(record->back())) return Fail(line_, "expected UTF-8");
      if (record->size() > DefaultExprLimits().csv_columns) {
        return Exhausted(line_,
                         absl::StrCat("more than ", DefaultExprLimits().csv_columns, " columns"));
      }
      if (at_ == text_.size() || SkipLineEnd()) return absl::OkStatus();
      ++at_;  // a comma
    }
  }

  // Ends before a comma, a line end or the end.
  absl::Status Bare(std::string* field) {
    const size_t start = at_;
    while (at_ < text_.size() && !At(',') && !At('\n')) {
      if (At('"')) {
        return Fail(line_, "a '\"' within a field; quote the whole field and double the quote");
      }
      if (At('\r')) {
        if (absl::StartsWith(text_.substr(at_), "\r\n")) break;
        return Fail(line_, "a carriage return without a line feed");
      }
      if (At('\0')) return Fail(line_, "a NUL byte");
      ++at_;
    }
    *field = std::string(text_.substr(start, at_ - start));
    return absl::OkStatus();
  }

  absl::Status Quoted(std::string* field) {
    const size_t first_line = line_;
    ++at_;
    while (true) {
      if (at_ >= text_.size()) return Fail(first_line, "a quoted field has no closing '\"'");
      const char c = text_[at_++];
      if (c == '"') {
        if (!At('"')) break;
        ++at_;
      }
      if (c == '\0') return Fail(line_, "a NUL byte");
      if (c == '\n') ++line_;
      *field += c;
    }
    if (at_ < text_.size() && !At(',') && !At('\n') &&
        !absl::StartsWith(text_.substr(at_), "\r\n")) {
      return Fail(line_, "expected ',' or the end of the line after a closing '\"'");
    }
    return absl::OkStatus();
  }

  absl::Status CheckHeader(const std::vector<std::string>& header, size_t line) {
    absl::flat_hash_set<absl::string_view> names;
    for (size_t i = 0; i < header.size(); ++i) {
      if (header[i].empty()) {
        return Fail(line, absl::StrCat("column ", i + 1, " of the header has no name"));
      }
      if (!names.insert(header[i]).second) {
        return Fail(line, absl::StrCat("the header names '", header[i], "' twice"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddRow(std::vector<std::string> row, size_t line) {
    if (row.size() != table_.header.size()) {
      return Fail(line, absl::StrCat("expected ", table_.header.size(),
                                     " fields, as in the header, "
                                     "but found ",
                                     row.size()));
    }
    if (table_.rows.size() == bounds_.rows) {
      return Exhausted(line, absl::StrCat("the table has more than ", bounds_.rows, " rows"));
    }
    table_.rows.push_back(std::move(row));
    table_.lines.push_back(line);
    return absl::OkStatus();
  }

  absl::string_view text_;
  const CsvBounds bounds_;
  size_t at_ = 0;
  size_t line_ = 1;
  size_t error_line_ = 1;
  CsvTable table_;
};

}  // namespace

absl::StatusOr<CsvTable> ReadCsv(absl::string_view text, CsvBounds bounds, size_t* error_line) {
  CsvReader reader(text, bounds);
  auto table = reader.Run();
  if (!table.ok() && error_line != nullptr) *error_line = reader.error_line();
  return table;
}

}  // namespace picket
