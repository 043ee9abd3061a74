#include "coordinator/gateway/report_stream.h"

#include <optional>
#include <string>
#include <utility>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/report/evidence_reader.h"
#include "coordinator/gateway/await.h"
#include "coordinator/gateway/limits.h"
#include "coordinator/gateway/run_watch.h"

namespace picket {
namespace {

// Gathers what a report writes into pieces worth sending.
class StreamSink : public TextSink {
 public:
  explicit StreamSink(HttpStream* stream) : stream_(stream) {}
  void Write(absl::string_view text) override {
    buffer_.append(text.data(), text.size());
    if (buffer_.size() >= DefaultGatewayLimits().report_piece_bytes) Flush().IgnoreError();
  }
  absl::Status Flush() override {
    open_ = open_ && stream_->Write(buffer_);
    buffer_.clear();
    return open_ ? absl::OkStatus() : absl::CancelledError("the client has gone");
  }
  bool open() const { return open_; }

 private:
  HttpStream* const stream_;
  std::string buffer_;
  bool open_ = true;
};

}  // namespace

const char* ReportContentType(ReportFormat format) {
  switch (format) {
    case ReportFormat::kJunit:
      return "application/xml";
    case ReportFormat::kJson:
    case ReportFormat::kCtrf:
      return "application/json";
    case ReportFormat::kTap:
      return "text/plain; charset=utf-8";
    case ReportFormat::kMarkdown:
      return "text/markdown; charset=utf-8";
    case ReportFormat::kHtml:
      return "text/html; charset=utf-8";
  }
  return "application/octet-stream";
}

absl::StatusOr<ReportHeader> ReadReportHeader(Coordinator* coordinator,
                                              const std::string& run_id) {
  RunWatch watch(coordinator, run_id);
  watch.Wait(DefaultGatewayLimits().answer_timeout);
  std::optional<v1::WatchRunResponse> state = watch.Take();
  if (!state.has_value()) {
    if (const auto ended = watch.Ended(); ended.has_value() && !ended->ok()) return *ended;
    return absl::DeadlineExceededError("the coordinator did not answer in time; try again");
  }
  return ReportHeader{state->run(), {state->locations().begin(), state->locations().end()}};
}

void StreamReport(Coordinator* coordinator, ReportFormat format, const ReportHeader& header,
                  HttpStream& stream) {
  StreamSink sink(&stream);
  const std::unique_ptr<Report> report = MakeReport(format, &sink);
  report->Begin(header);
  EvidenceReader evidence([&](uint32_t execution, uint32_t attempt) {
    v1::GetEvidenceRequest request;
    request.set_run_id(header.run.run_id());
    request.set_execution(execution);
    request.set_attempt(attempt);
    return Call(coordinator, &Coordinator::GetEvidence, std::move(request));
  });
  v1::ListExecutionsRequest request;
  request.set_run_id(header.run.run_id());
  request.set_view(v1::ListExecutionsRequest::FULL);
  request.set_page_size(DefaultGatewayLimits().report_page);
  do {
    absl::StatusOr<v1::ListExecutionsResponse> page =
        Call(coordinator, &Coordinator::ListExecutions, request);
    if (!page.ok()) {
      Log(LogLevel::kWarning, "a report was cut: its executions cannot be read",
          {{"run", header.run.run_id()}, {"status", page.status().ToString()}});
      return stream.Cut();
    }
    for (v1::Execution& execution : *page->mutable_executions()) {
      if (format != ReportFormat::kMarkdown) evidence.Fill(execution);
      report->Add(execution);
      if (!sink.open()) return;
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  report->End();
  sink.Flush().IgnoreError();
}

}  // namespace picket
