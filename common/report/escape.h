// File: escape.h
//
// Text from a target, an agent or a suite is hostile until it has passed the one
// function of the sink it goes to. Each function returns text that the sink shows and
// never obeys; none of them ever returns a line break it was given.
//
// Sources: ECMA-48 (control sequences), Unicode TR 36 (bidirectional controls), XML 1.0
// section 2.2 (Char), CommonMark 0.30, TAP 14, GitHub's workflow commands.
//
// Thread rule: pure.

#ifndef COMMON_REPORT_ESCAPE_H_
#define COMMON_REPORT_ESCAPE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace picket {

// A terminal, or a plain log: C0, DEL, C1 and bytes that are not UTF-8 as \xNN,
// bidirectional and line-separating controls as \uNNNN. One line always.
std::string EscapeTerminal(absl::string_view text);

// The log of a GitHub job: as a terminal; besides, nothing in it reads as a workflow
// command ("::" at the start, blanks aside, or "##[" anywhere).
std::string EscapeGithubLog(absl::string_view text);
// The message of a workflow command, and one of its properties.
std::string EscapeGithubData(absl::string_view text);
std::string EscapeGithubProperty(absl::string_view text);

// XML 1.0 text or a quoted attribute: what XML forbids, and line breaks, as \xNN.
std::string EscapeXml(absl::string_view text);
// Within HTML text or a quoted attribute.
std::string EscapeHtml(absl::string_view text);
// Markdown inline text, safe inside a table cell; no links, images, mentions or HTML.
std::string EscapeMarkdown(absl::string_view text);
// A TAP description: "#" and "\" escaped.
std::string EscapeTap(absl::string_view text);
// A JSON string, with its quotes; bytes that are not UTF-8 become U+FFFD.
std::string QuoteJson(absl::string_view text);

// The first `columns` columns of escaped text, ending in "..." if cut. A code point
// counts as one column, or two from the East Asian wide blocks on.
std::string CutToColumns(absl::string_view text, size_t columns);
// The first `bytes` bytes at most, never cutting a UTF-8 sequence, "..." if cut.
std::string CutToBytes(absl::string_view text, size_t bytes);
size_t CountColumns(absl::string_view text);

}  // namespace picket

#endif  // COMMON_REPORT_ESCAPE_H_
