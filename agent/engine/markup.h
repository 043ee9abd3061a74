// File: markup.h
//
// A first look at a body that XPath is to read: whether it is markup at all, and whether
// the parser may be let loose on it.
//
// Thread rule: pure.

#ifndef AGENT_ENGINE_MARKUP_H_
#define AGENT_ENGINE_MARKUP_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace picket {

enum class MarkupKind {
  kNone,  // no markup: nothing that it lacks says anything
  kXml,
  kHtml,
};

// By its Content-Type, or where that is silent by how it begins. A body that calls itself
// HTML is HTML if a tag, comment or declaration stands in it; any other must begin with one.
MarkupKind MarkupKindOf(absl::string_view body, absl::string_view content_type);

// What an HTML body is encoded in, as libxml2 names it: the `charset` of its Content-Type if
// that is one that reads ASCII as ASCII, else UTF-8 if it is, else ISO-8859-1.
std::string HtmlEncodingOf(absl::string_view body, absl::string_view content_type);

// The same of an XML body that says nothing of it itself: the `charset` of its Content-Type
// (RFC 7303, section 3.2). Empty if the parser finds out alone, from the body.
std::string XmlEncodingOf(absl::string_view body, absl::string_view content_type);

// At least as many as libxml2 would find attributes in any one start tag of `body`; counted
// up to `enough`. It compares each attribute of a tag with all before it, so that a tag of
// 100,000 takes it 17 s.
size_t MostAttributes(absl::string_view body, MarkupKind kind, size_t enough);

}  // namespace picket

#endif  // AGENT_ENGINE_MARKUP_H_
