// File: xpath.h
//
// XPath 1.0 over HTML and XML (libxml2), within bounds: no network, no DTD, no entity
// expansion, a limit on operations and nodes.
//
// Thread rule: an XPath is immutable and safe to use from any thread; a Document belongs
// to one thread at a time.

#ifndef AGENT_ENGINE_XPATH_H_
#define AGENT_ENGINE_XPATH_H_

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/engine/limits.h"

namespace picket {

class XPathDocument {
 public:
  // Reads `text` as XML or HTML (MarkupKindOf). InvalidArgument: it is neither, not
  // well-formed XML, or empty. ResourceExhausted: it cannot be read whole within bounds.
  static absl::StatusOr<std::unique_ptr<XPathDocument>> Parse(absl::string_view text,
                                                              absl::string_view content_type);
  virtual ~XPathDocument() = default;
};

// What an expression yields.
struct XPathValue {
  // The string value of each node of a node-set, in document order; or the one value.
  std::variant<std::vector<std::string>, std::string, double, bool> value;
};

class XPath {
 public:
  // InvalidArgument with libxml2's reason.
  static absl::StatusOr<std::shared_ptr<const XPath>> Compile(absl::string_view text);
  virtual ~XPath() = default;

  // ResourceExhausted: a bound was reached. InvalidArgument: the evaluation failed (an
  // unknown function or prefix).
  virtual absl::StatusOr<XPathValue> Evaluate(
      const XPathDocument& document,
      unsigned long operations_most = DefaultEngineLimits().work.xpath_operations) const = 0;
};

}  // namespace picket

#endif  // AGENT_ENGINE_XPATH_H_
