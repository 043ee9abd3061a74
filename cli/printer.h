// File: printer.h
//
// Lines for people: colour if the sink shows it, and outside text escaped as the sink
// needs it. Whatever came from a suite, an agent or a target passes Outside().
//
// Thread rule: thread-compatible.

#ifndef CLI_PRINTER_H_
#define CLI_PRINTER_H_

#include <string>

#include "absl/strings/string_view.h"
#include "common/report/text_sink.h"
#include "picket/v1/run.pb.h"

namespace picket {

enum class Colour { kNone, kRed, kGreen, kYellow, kDim, kBold };

struct PrintStyle {
  bool colour = false;
  // The log belongs to a GitHub job.
  bool github = false;
};

class Printer {
 public:
  Printer(TextSink* sink, PrintStyle style) : sink_(sink), style_(style) {}

  // `text` from outside, made harmless for this sink.
  std::string Outside(absl::string_view text) const;
  // As Outside, of at most `bytes` bytes.
  std::string OutsideCut(absl::string_view text, size_t bytes) const;
  // `text`, which is harmless, in `colour`.
  std::string Paint(Colour colour, absl::string_view text) const;

  void Line(absl::string_view line);
  void Raw(absl::string_view text) { sink_->Write(text); }
  void Flush() { sink_->Flush().IgnoreError(); }
  const PrintStyle& style() const { return style_; }

 private:
  TextSink* sink_;
  PrintStyle style_;
};

Colour ColourOf(v1::Verdict::Value verdict);
Colour ColourOf(v1::End::Value end);

}  // namespace picket

#endif  // CLI_PRINTER_H_
