#include "agent/engine/xpath.h"

#include <libxml/HTMLparser.h>
#include <libxml/parser.h>
#include <libxml/xmlerror.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>

#include <limits>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/limits.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

void IgnoreError(void*, const char*, ...) {}
void IgnoreStructured(void*, xmlErrorPtr) {}

// libxml2 keeps its error handlers per thread.
void Silence() {
  thread_local const bool once = [] {
    xmlSetGenericErrorFunc(nullptr, IgnoreError);
    xmlSetStructuredErrorFunc(nullptr, IgnoreStructured);
    return true;
  }();
  (void)once;
}

void InitLibrary() {
  static const bool once = [] {
    xmlInitParser();
    return true;
  }();
  (void)once;
}

std::string Reason(xmlErrorPtr error) {
  if (error == nullptr || error->message == nullptr) return "it cannot be read";
  return std::string(absl::StripAsciiWhitespace(error->message));
}

class Document : public XPathDocument {
 public:
  explicit Document(xmlDocPtr doc) : doc_(doc) {}
  ~Document() override { xmlFreeDoc(doc_); }
  xmlDocPtr doc() const { return doc_; }

 private:
  xmlDocPtr doc_;
};

bool IsXml(absl::string_view text, absl::string_view content_type) {
  const std::string type = absl::AsciiStrToLower(
      absl::StripAsciiWhitespace(content_type.substr(0, content_type.find(';'))));
  if (type.empty()) return absl::StartsWith(absl::StripLeadingAsciiWhitespace(text), "<?xml");
  return type == "text/xml" || type == "application/xml" ||
         (absl::EndsWith(type, "+xml") && type != "application/xhtml+xml");
}

class CompiledXPath : public XPath {
 public:
  explicit CompiledXPath(xmlXPathCompExprPtr expr) : expr_(expr) {}
  ~CompiledXPath() override { xmlXPathFreeCompExpr(expr_); }

  absl::StatusOr<XPathValue> Evaluate(const XPathDocument& document) const override {
    Silence();
    xmlDocPtr doc = static_cast<const Document&>(document).doc();
    std::unique_ptr<xmlXPathContext, void (*)(xmlXPathContextPtr)> context(xmlXPathNewContext(doc),
                                                                           xmlXPathFreeContext);
    if (context == nullptr) return absl::ResourceExhaustedError("no memory for an XPath");
    context->error = IgnoreStructured;
    context->opLimit = DefaultEngineLimits().xpath_operations;
    // Prefixes of the document's root element may be used as they stand there.
    if (xmlNodePtr root = xmlDocGetRootElement(doc); root != nullptr) {
      for (xmlNsPtr ns = root->nsDef; ns != nullptr; ns = ns->next) {
        if (ns->prefix != nullptr) xmlXPathRegisterNs(context.get(), ns->prefix, ns->href);
      }
    }
    std::unique_ptr<xmlXPathObject, void (*)(xmlXPathObjectPtr)> found(
        xmlXPathCompiledEval(expr_, context.get()), xmlXPathFreeObject);
    if (found == nullptr) {
      const int code = context->lastError.code;
      const int xpath_error = code - static_cast<int>(XML_XPATH_EXPRESSION_OK);
      if (xpath_error == XPATH_OP_LIMIT_EXCEEDED || xpath_error == XPATH_MEMORY_ERROR ||
          xpath_error == XPATH_RECURSION_LIMIT_EXCEEDED) {
        return absl::ResourceExhaustedError("the XPath needs more work than is allowed");
      }
      return absl::InvalidArgumentError(
          absl::StrCat("the XPath cannot be evaluated: ", Reason(&context->lastError)));
    }
    return Convert(*found);
  }

 private:
  static absl::StatusOr<XPathValue> Convert(const xmlXPathObject& object) {
    XPathValue out;
    switch (object.type) {
      case XPATH_BOOLEAN:
        out.value = object.boolval != 0;
        return out;
      case XPATH_NUMBER:
        out.value = object.floatval;
        return out;
      case XPATH_STRING:
        out.value = std::string(reinterpret_cast<const char*>(object.stringval));
        return out;
      case XPATH_NODESET:
        return Nodes(object);
      default:
        return absl::InvalidArgumentError("the XPath yields neither nodes nor a value");
    }
  }

  static absl::StatusOr<XPathValue> Nodes(const xmlXPathObject& object) {
    std::vector<std::string> texts;
    const int count = object.nodesetval == nullptr ? 0 : object.nodesetval->nodeNr;
    if (static_cast<size_t>(count) > DefaultEngineLimits().xpath_nodes) {
      return absl::ResourceExhaustedError(absl::StrCat("the XPath yields ", count, " nodes"));
    }
    texts.reserve(count);
    size_t bytes = 0;
    for (int i = 0; i < count; ++i) {
      xmlChar* text = xmlXPathCastNodeToString(object.nodesetval->nodeTab[i]);
      texts.emplace_back(text == nullptr ? "" : reinterpret_cast<const char*>(text));
      xmlFree(text);
      // Nested nodes repeat their text: a page of n levels would yield n times itself.
      bytes += texts.back().size();
      if (bytes > DefaultLimits().body_limit_most) {
        return absl::ResourceExhaustedError("the nodes of the XPath hold too much text");
      }
    }
    XPathValue out;
    out.value = std::move(texts);
    return out;
  }

  xmlXPathCompExprPtr expr_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<XPathDocument>> XPathDocument::Parse(
    absl::string_view text, absl::string_view content_type) {
  InitLibrary();
  Silence();
  if (absl::StripAsciiWhitespace(text).empty()) {
    return absl::InvalidArgumentError("the body is empty");
  }
  if (text.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return absl::ResourceExhaustedError("the body is too large for XPath");
  }
  const int size = static_cast<int>(text.size());
  if (IsXml(text, content_type)) {
    std::unique_ptr<xmlParserCtxt, void (*)(xmlParserCtxtPtr)> parser(xmlNewParserCtxt(),
                                                                      xmlFreeParserCtxt);
    if (parser == nullptr) return absl::ResourceExhaustedError("no memory for an XML parser");
    // What declares no entity can expand none.
    parser->sax->entityDecl = nullptr;
    parser->sax->unparsedEntityDecl = nullptr;
    parser->sax->attributeDecl = nullptr;
    xmlDocPtr doc = xmlCtxtReadMemory(parser.get(), text.data(), size, nullptr, nullptr,
                                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (doc == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("the body is not well-formed XML: ", Reason(&parser->lastError)));
    }
    return std::make_unique<Document>(doc);
  }
  htmlDocPtr doc = htmlReadMemory(
      text.data(), size, nullptr, "UTF-8",
      HTML_PARSE_RECOVER | HTML_PARSE_NONET | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING);
  if (doc == nullptr) return absl::InvalidArgumentError("the body is not HTML");
  return std::make_unique<Document>(doc);
}

absl::StatusOr<std::shared_ptr<const XPath>> XPath::Compile(absl::string_view text) {
  InitLibrary();
  Silence();
  if (text.empty() || text.size() > DefaultEngineLimits().xpath_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("an XPath has 1 to ", DefaultEngineLimits().xpath_bytes, " bytes"));
  }
  std::unique_ptr<xmlXPathContext, void (*)(xmlXPathContextPtr)> context(
      xmlXPathNewContext(nullptr), xmlXPathFreeContext);
  if (context == nullptr) return absl::ResourceExhaustedError("no memory for an XPath");
  context->error = IgnoreStructured;
  const std::string expression(text);
  xmlXPathCompExprPtr expr =
      xmlXPathCtxtCompile(context.get(), reinterpret_cast<const xmlChar*>(expression.c_str()));
  if (expr == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", text, "' is not a valid XPath 1.0 expression: ", Reason(&context->lastError)));
  }
  return std::make_shared<const CompiledXPath>(expr);
}

}  // namespace picket
