#include "absl/strings/str_cat.h"
#include "common/report/proto_json.h"
#include "common/report/report.h"
#include "common/report/report_message.h"

namespace picket {
namespace {

class JsonReport : public Report {
 public:
  explicit JsonReport(TextSink* sink) : sink_(sink) {}

  void Begin(const ReportHeader& header) override {
    const std::string json = ProtoJson(ReportWithoutExecutions(header.run));
    // The list is the only empty one of that name: quotes inside values are escaped.
    const std::string list = "\"executions\":[";
    const size_t at = json.find(list) + list.size();
    sink_->Write(absl::string_view(json).substr(0, at));
    rest_ = json.substr(at);
  }

  void Add(const v1::Execution& execution) override {
    message_.Clear();
    FillReportExecution(execution, message_);
    text_ = first_ ? "\n" : ",\n";
    first_ = false;
    AppendProtoJson(message_, text_);
    sink_->Write(text_);
  }

  void End() override { sink_->Write(absl::StrCat(first_ ? "" : "\n", rest_, "\n")); }

 private:
  TextSink* sink_;
  std::string rest_, text_;
  bool first_ = true;
  v1::ReportExecution message_;
};

}  // namespace

std::unique_ptr<Report> MakeJsonReport(TextSink* sink) {
  return std::make_unique<JsonReport>(sink);
}

}  // namespace picket
