#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/report/escape.h"
#include "common/report/report.h"
#include "common/report/report_names.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

constexpr int kAssertionsMost = 20;
// Failures told in full; the others in a line each.
constexpr size_t kFullMost = 2'000;
constexpr size_t kShortMessageBytes = 100;
// GitLab takes 30 MB. What is told of failures shrinks with what is left of this for each case
// to come, down to its bare line: its name and what else each must have.
constexpr size_t kReportBytes = 28'000'000;
constexpr size_t kBareLineBytes = 120;
constexpr size_t kMessageBytes = 1'000;
constexpr size_t kDetailBytes = 4'000;

std::string Attribute(absl::string_view name, absl::string_view value) {
  return absl::StrCat(" ", name, "=\"", EscapeXml(value), "\"");
}

std::string Seconds(uint64_t us) { return absl::StrFormat("%.3f", us / 1e6); }

class JunitReport : public Report {
 public:
  explicit JunitReport(TextSink* sink) : sink_(sink) {}

  void Begin(const ReportHeader& header) override {
    const v1::Run& run = header.run;
    const v1::Ledger& l = run.ledger();
    cases_left_ = l.planned();
    const std::string time = Seconds(static_cast<uint64_t>(std::max<int64_t>(
        0, absl::ToInt64Microseconds(ToTime(run.seal_time()) - ToTime(run.create_time())))));
    const std::string counts = absl::StrCat(
        Attribute("name", run.suite()), Attribute("tests", absl::StrCat(l.planned())),
        Attribute("failures", absl::StrCat(l.failed())),
        Attribute("errors", absl::StrCat(l.inconclusive() + l.expired() + l.unassigned())),
        Attribute("time", time));
    sink_->Write(absl::StrCat(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites", counts, ">\n<testsuite", counts,
        Attribute("skipped", absl::StrCat(l.skipped() + l.cancelled())),
        run.has_create_time() ? Attribute("timestamp", absl::FormatTime("%Y-%m-%dT%H:%M:%S",
                                                                        ToTime(run.create_time()),
                                                                        absl::UTCTimeZone()))
                              : "",
        Attribute("id", run.run_id()), ">\n<properties>\n"));
    Property("run_id", run.run_id());
    Property("verdict", v1::Verdict::Value_Name(run.verdict()));
    if (run.local()) Property("local", "true");
    for (const auto& [name, value] : run.labels()) labels_.push_back({name, value});
    std::sort(labels_.begin(), labels_.end());
    for (const auto& [name, value] : labels_) Property(name, value);
    sink_->Write("</properties>\n");
  }

  void Add(const v1::Execution& execution) override {
    const v1::Attempt* attempt = DecidingAttempt(execution);
    text_ =
        absl::StrCat("<testcase", Attribute("name", names_.Of(execution)),
                     Attribute("classname", execution.suite()),
                     Attribute("time", Seconds(attempt == nullptr ? 0 : attempt->duration_us())));
    switch (execution.end()) {
      case v1::End::PASSED:
        Passed(execution);
        break;
      case v1::End::FAILED:
        Verdict("failure", execution);
        break;
      case v1::End::SKIPPED:
      case v1::End::CANCELLED:
        Skipped(execution);
        break;
      default:
        Verdict("error", execution);
        break;
    }
    sink_->Write(text_);
    written_ += text_.size();
    if (cases_left_ > 0) --cases_left_;
  }

  void End() override { sink_->Write("</testsuite>\n</testsuites>\n"); }

 private:
  void Property(absl::string_view name, absl::string_view value) {
    sink_->Write(
        absl::StrCat("<property", Attribute("name", name), Attribute("value", value), "/>\n"));
  }

  void Passed(const v1::Execution& execution) {
    std::string learning;
    if (execution.learning()) {
      learning = absl::StrCat("<system-out>learning: ",
                              EscapeXml(CutToBytes(LearningText(execution), kDetailBytes)),
                              "</system-out>");
    }
    if (!execution.flaky()) {
      absl::StrAppend(&text_, learning.empty() ? "/>" : absl::StrCat(">", learning, "</testcase>"),
                      "\n");
      return;
    }
    std::string message = "passed after a failed attempt";
    for (const v1::Attempt& attempt : execution.attempts()) {
      if (attempt.outcome() == v1::Outcome::FAILED && !attempt.message().empty()) {
        absl::StrAppend(&message, ": ", attempt.message());
        break;
      }
    }
    if (execution.blame() != v1::Blame::none) {
      absl::StrAppend(&message, " (blame: ", BlameText(execution.blame()), ")");
    }
    absl::StrAppend(&text_, "><flakyFailure", Attribute("type", "flaky"),
                    Attribute("message", CutToBytes(message, kMessageBytes)), "/>", learning,
                    "</testcase>\n");
  }

  void Skipped(const v1::Execution& execution) {
    const bool cancelled = execution.end() == v1::End::CANCELLED;
    absl::StrAppend(&text_, "><skipped",
                    Attribute("message", cancelled ? "cancelled: the run was ended early"
                                                   : CutToBytes(SkipText(execution), kMessageBytes)),
                    "/></testcase>\n");
  }

  void Verdict(absl::string_view element, const v1::Execution& execution) {
    const std::string end = v1::End::Value_Name(execution.end());
    const std::string reason = ReasonText(execution.reason());
    const v1::Attempt* attempt = DecidingAttempt(execution);
    const std::string message = attempt != nullptr && !attempt->message().empty()
                                    ? attempt->message()
                                    : MessageOf(execution.end());
    const bool full =
        ++told_ <= kFullMost && (text_.size() + kBareLineBytes) * cases_left_ < Left();
    absl::StrAppend(&text_, "><", element, Attribute("type", reason.empty() ? end : reason),
                    full ? Attribute("message", CutToBytes(message, kMessageBytes))
                         : ShortMessage(message),
                    ">");
    absl::StrAppend(&text_, end, reason.empty() ? "" : ": ", reason);
    if (!execution.blocking()) text_ += ", not blocking";
    if (execution.blame() != v1::Blame::none) {
      absl::StrAppend(&text_, ", blame: ", v1::Blame::Value_Name(execution.blame()));
    }
    if (attempt != nullptr && !attempt->agent().empty()) {
      absl::StrAppend(&text_, ", agent ", EscapeXml(attempt->agent()));
    }
    const std::vector<Detail> details =
        full ? FailureDetails(execution, kAssertionsMost) : std::vector<Detail>();
    for (const Detail& detail : details) {
      absl::StrAppend(&text_, "\n", absl::StrFormat("%-9s ", detail.label),
                      EscapeXml(CutToBytes(detail.value, kDetailBytes)));
    }
    absl::StrAppend(&text_, "</", element, "></testcase>\n");
  }

  // Bytes that may still be written.
  size_t Left() const { return kReportBytes - std::min(written_, kReportBytes); }

  // As much of the message as this case's share allows; escaped, a byte may become six.
  std::string ShortMessage(const std::string& message) const {
    const size_t share = Left() / std::max<size_t>(1, cases_left_);
    for (size_t bytes = kShortMessageBytes; bytes >= 20; bytes -= 10) {
      std::string attribute = Attribute("message", CutToBytes(message, bytes));
      if (text_.size() + kBareLineBytes + attribute.size() <= share) return attribute;
    }
    return "";
  }

  static std::string MessageOf(v1::End::Value end) {
    switch (end) {
      case v1::End::EXPIRED:
        return "the run's deadline passed before it was decided";
      case v1::End::UNASSIGNED:
        return "no agent ran it: none lived at its location in time";
      case v1::End::INCONCLUSIVE:
        return "could not tell";
      case v1::End::UNDECIDED:
        return "not decided yet";
      default:
        return "failed";
    }
  }

  TextSink* sink_;
  CaseNames names_;
  std::string text_;
  size_t told_ = 0;  // failures and errors
  size_t written_ = 0;
  size_t cases_left_ = 0;  // with the one in hand
  std::vector<std::pair<std::string, std::string>> labels_;
};

}  // namespace

std::unique_ptr<Report> MakeJunitReport(TextSink* sink) {
  return std::make_unique<JunitReport>(sink);
}

}  // namespace picket
