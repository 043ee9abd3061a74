// File: display.h
//
// What a person sees while a run goes on. Three kinds: a terminal that is redrawn, plain
// lines for a log, and nothing.
//
// Thread rule: thread-compatible.

#ifndef CLI_DISPLAY_H_
#define CLI_DISPLAY_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/printer.h"
#include "common/base/clock.h"
#include "picket/v1/run_service.pb.h"

namespace picket {

class Display {
 public:
  virtual ~Display() = default;
  // A whole state; a later one replaces an earlier one.
  virtual void Show(const v1::WatchRunResponse& state) = 0;
  // A line that stays, e.g. "the connection was lost; attaching again". Harmless text.
  virtual void Note(absl::string_view line) = 0;
  // Takes the progress away and gives the cursor back. Nothing is shown afterwards.
  virtual void Close() = 0;
};

struct DisplayOptions {
  // Least time between two progress lines in a log.
  absl::Duration line_every = absl::Seconds(5);
  // Failures told as they happen, at most.
  size_t failures_most = 20;
  // Print failures as they happen.
  bool failures = true;
  std::function<int()> columns = [] { return 80; };
  std::function<int()> lines = [] { return 24; };
};

// One line a location, redrawn in place; failures above it.
std::unique_ptr<Display> MakeTerminalDisplay(Printer* printer, DisplayOptions options);
// Lines as things happen, progress no more often than `line_every`.
std::unique_ptr<Display> MakeLineDisplay(Printer* printer, Clock* clock, DisplayOptions options);
std::unique_ptr<Display> MakeQuietDisplay();

// What takes the cursor back, for a process that must end at once.
inline constexpr absl::string_view kShowCursor = "\x1b[?25h";

}  // namespace picket

#endif  // CLI_DISPLAY_H_
