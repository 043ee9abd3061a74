#include "cli/display.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/failure_text.h"
#include "common/report/escape.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

constexpr absl::string_view kHideCursor = "\x1b[?25l";

uint32_t Decided(const v1::Ledger& l) {
  return l.passed() + l.failed() + l.inconclusive() + l.skipped() + l.cancelled() + l.expired() +
         l.unassigned();
}

// "2 failed, 1 inconclusive" of what is not as it should be.
std::string Troubles(const v1::Ledger& l) {
  std::string out;
  const auto add = [&](uint32_t count, absl::string_view what) {
    if (count > 0) absl::StrAppend(&out, "  ", count, " ", what);
  };
  add(l.failed(), "failed");
  add(l.inconclusive(), "inconclusive");
  add(l.cancelled(), "cancelled");
  add(l.expired(), "expired");
  add(l.unassigned(), "unassigned");
  add(l.flaky(), "flaky");
  add(l.learning(), "learning");
  return out;
}

// Failures of states, each told once.
class FailureTeller {
 public:
  FailureTeller(Printer* printer, size_t most) : printer_(printer), most_(most) {}

  std::vector<std::string> New(const v1::WatchRunResponse& state) {
    std::vector<std::string> lines;
    for (const v1::Execution& execution : state.failures()) {
      if (!told_.insert(execution.execution()).second || told_.size() > most_) continue;
      lines.push_back(FailureLine(execution, HasSeveralSuites(state.run()), *printer_));
    }
    if (told_.size() > most_ && !hinted_) {
      hinted_ = true;
      lines.push_back("further failures are counted here and listed at the end");
    }
    return lines;
  }

 private:
  Printer* printer_;
  size_t most_;
  std::set<uint32_t> told_;
  bool hinted_ = false;
};

class TerminalDisplay : public Display {
 public:
  TerminalDisplay(Printer* printer, DisplayOptions options)
      : printer_(printer), options_(std::move(options)), teller_(printer, options_.failures_most) {
    printer_->Raw(kHideCursor);
    printer_->Flush();
  }
  ~TerminalDisplay() override { Close(); }

  void Show(const v1::WatchRunResponse& state) override {
    if (closed_) return;
    std::string out = Erase();
    if (options_.failures) {
      for (const std::string& line : teller_.New(state)) absl::StrAppend(&out, line, "\n");
    }
    Compose(state);
    absl::StrAppend(&out, Draw());
    printer_->Raw(out);
    printer_->Flush();
  }

  void Note(absl::string_view line) override {
    if (closed_) return printer_->Line(line);
    printer_->Raw(absl::StrCat(Erase(), line, "\n", Draw()));
    printer_->Flush();
  }

  void Close() override {
    if (closed_) return;
    closed_ = true;
    printer_->Raw(absl::StrCat(Erase(), kShowCursor));
    printer_->Flush();
  }

 private:
  // Back to the first line of the progress, everything from there on cleared.
  std::string Erase() {
    const int up = drawn_;
    drawn_ = 0;
    return up == 0 ? "" : absl::StrCat("\x1b[", up, "A\r\x1b[J");
  }

  std::string Draw() {
    std::string out;
    for (const std::string& line : lines_) absl::StrAppend(&out, line, "\n");
    drawn_ = static_cast<int>(lines_.size());
    return out;
  }

  void Compose(const v1::WatchRunResponse& state) {
    // One column stays free: a line that fills the last one wraps on some terminals.
    const int columns = std::max(20, options_.columns() - 1);
    const size_t room = static_cast<size_t>(std::max(1, options_.lines() - 3));
    size_t widest = 0;
    for (const auto& l : state.locations()) widest = std::max(widest, l.location().size());
    widest = std::min<size_t>(widest, static_cast<size_t>(columns) / 3);
    lines_.clear();
    for (const v1::LocationProgress& location : state.locations()) {
      if (lines_.size() + 1 > room) {
        lines_.back() = absl::StrCat("and ", state.locations_size() - static_cast<int>(room) + 1,
                                     " more locations");
        break;
      }
      lines_.push_back(LocationLine(location, widest, columns));
    }
  }

  std::string LocationLine(const v1::LocationProgress& location, size_t widest, int columns) const {
    const uint32_t planned = location.ledger().planned();
    const uint32_t decided = Decided(location.ledger());
    const std::string name = CutToColumns(printer_->Outside(location.location()), widest);
    const std::string count = absl::StrCat(decided, "/", planned);
    std::string agents =
        location.agents() == 0 && decided < planned
            ? "  no agent"
            : absl::StrCat("  ", location.agents(), location.agents() == 1 ? " agent" : " agents");
    const std::string tail = absl::StrCat("  ", count, Troubles(location.ledger()), agents);
    std::string head = name + std::string(widest - std::min(widest, CountColumns(name)), ' ');
    const int bar = std::clamp(columns - static_cast<int>(head.size() + tail.size()) - 4, 0, 40);
    if (bar >= 5) {
      const int full = planned == 0 ? bar : static_cast<int>(uint64_t{decided} * bar / planned);
      absl::StrAppend(&head, "  [", std::string(full, '#'), std::string(bar - full, '-'), "]");
    }
    const std::string line = CutToColumns(head + tail, columns);
    return location.ledger().failed() > 0 ? printer_->Paint(Colour::kRed, line) : line;
  }

  Printer* printer_;
  DisplayOptions options_;
  FailureTeller teller_;
  std::vector<std::string> lines_;
  int drawn_ = 0;
  bool closed_ = false;
};

class LineDisplay : public Display {
 public:
  LineDisplay(Printer* printer, Clock* clock, DisplayOptions options)
      : printer_(printer),
        clock_(clock),
        options_(std::move(options)),
        teller_(printer, options_.failures_most),
        last_(clock->Monotonic()) {}

  void Show(const v1::WatchRunResponse& state) override {
    bool wrote = false;
    if (options_.failures) {
      for (const std::string& line : teller_.New(state)) {
        printer_->Line(line);
        wrote = true;
      }
    }
    const absl::Duration now = clock_->Monotonic();
    if (now - last_ >= options_.line_every && state.run().state() != v1::Run::SEALED) {
      last_ = now;
      printer_->Line(ProgressLine(state));
      wrote = true;
    }
    if (wrote) printer_->Flush();
  }

  void Note(absl::string_view line) override {
    printer_->Line(line);
    printer_->Flush();
  }
  void Close() override {}

 private:
  std::string ProgressLine(const v1::WatchRunResponse& state) const {
    const v1::Ledger& l = state.run().ledger();
    std::string out = absl::StrCat("running  ", Decided(l), "/", l.planned(), Troubles(l));
    constexpr int kLocationsMost = 8;
    int shown = 0;
    for (const v1::LocationProgress& location : state.locations()) {
      if (shown++ == kLocationsMost) {
        absl::StrAppend(&out, "  ...");
        break;
      }
      const uint32_t decided = Decided(location.ledger());
      absl::StrAppend(
          &out, "  ", printer_->Outside(location.location()), " ", decided, "/",
          location.ledger().planned(),
          location.agents() == 0 && decided < location.ledger().planned() ? " (no agent)" : "");
    }
    return out;
  }

  Printer* printer_;
  Clock* clock_;
  DisplayOptions options_;
  FailureTeller teller_;
  absl::Duration last_;
};

class QuietDisplay : public Display {
 public:
  void Show(const v1::WatchRunResponse&) override {}
  void Note(absl::string_view) override {}
  void Close() override {}
};

}  // namespace

std::unique_ptr<Display> MakeTerminalDisplay(Printer* printer, DisplayOptions options) {
  return std::make_unique<TerminalDisplay>(printer, std::move(options));
}
std::unique_ptr<Display> MakeLineDisplay(Printer* printer, Clock* clock, DisplayOptions options) {
  return std::make_unique<LineDisplay>(printer, clock, std::move(options));
}
std::unique_ptr<Display> MakeQuietDisplay() { return std::make_unique<QuietDisplay>(); }

}  // namespace picket
