#include "cli/printer.h"

#include "absl/strings/str_cat.h"
#include "common/report/escape.h"

namespace picket {

std::string Printer::Outside(absl::string_view text) const {
  return style_.github ? EscapeGithubLog(text) : EscapeTerminal(text);
}

std::string Printer::OutsideCut(absl::string_view text, size_t bytes) const {
  return CutToBytes(Outside(text), bytes);
}

std::string Printer::Paint(Colour colour, absl::string_view text) const {
  if (!style_.colour || colour == Colour::kNone) return std::string(text);
  absl::string_view code;
  switch (colour) {
    case Colour::kRed:
      code = "31";
      break;
    case Colour::kGreen:
      code = "32";
      break;
    case Colour::kYellow:
      code = "33";
      break;
    case Colour::kDim:
      code = "2";
      break;
    default:
      code = "1";
      break;
  }
  return absl::StrCat("\x1b[", code, "m", text, "\x1b[0m");
}

void Printer::Line(absl::string_view line) {
  sink_->Write(line);
  sink_->Write("\n");
}

Colour ColourOf(v1::Verdict::Value verdict) {
  switch (verdict) {
    case v1::Verdict::PASSED:
      return Colour::kGreen;
    case v1::Verdict::FAILED:
      return Colour::kRed;
    case v1::Verdict::INCONCLUSIVE:
      return Colour::kYellow;
    default:
      return Colour::kNone;
  }
}

Colour ColourOf(v1::End::Value end) {
  switch (end) {
    case v1::End::PASSED:
      return Colour::kGreen;
    case v1::End::FAILED:
      return Colour::kRed;
    case v1::End::UNDECIDED:
    case v1::End::SKIPPED:
      return Colour::kDim;
    default:
      return Colour::kYellow;
  }
}

}  // namespace picket
