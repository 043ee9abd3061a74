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
#include "absl/strings/str_replace.h"
#include "agent/engine/limits.h"
#include "agent/engine/markup.h"
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

// The parser stopped at one of libxml2's own bounds: 256 levels, 10 MB of text in one node.
bool HitBound(const xmlError& error) {
  return error.code == XML_ERR_INTERNAL_ERROR || error.code == XML_ERR_NO_MEMORY ||
         (error.message != nullptr && absl::StrContains(error.message, "XML_PARSE_HUGE"));
}
absl::Status TooMuch() {
  return absl::ResourceExhaustedError(
      "the body nests too deep, or holds too large a text, for XPath");
}

// In UTF-16 and UTF-32 letters hold NULs; elsewhere libxml2 takes one for the end.
bool MayHoldNul(absl::string_view text) {
  for (absl::string_view start : {absl::string_view("\xfe\xff"), absl::string_view("\xff\xfe"),
                                  absl::string_view("<\0", 2), absl::string_view("\0", 1)}) {
    if (absl::StartsWith(text, start)) return true;
  }
  return false;
}

absl::StatusOr<std::unique_ptr<XPathDocument>> ParseXml(absl::string_view text,
                                                        absl::string_view content_type) {
  if (absl::StrContains(text, '\0') && !MayHoldNul(text)) {
    return absl::InvalidArgumentError("the body is not well-formed XML: it holds a NUL");
  }
  std::unique_ptr<xmlParserCtxt, void (*)(xmlParserCtxtPtr)> parser(xmlNewParserCtxt(),
                                                                    xmlFreeParserCtxt);
  if (parser == nullptr) return absl::ResourceExhaustedError("no memory for an XML parser");
  // What declares no entity can expand none.
  parser->sax->entityDecl = nullptr;
  parser->sax->unparsedEntityDecl = nullptr;
  parser->sax->attributeDecl = nullptr;
  const std::string encoding = XmlEncodingOf(text, content_type);
  xmlDocPtr doc = xmlCtxtReadMemory(parser.get(), text.data(), static_cast<int>(text.size()),
                                    nullptr, encoding.empty() ? nullptr : encoding.c_str(),
                                    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
  if (doc != nullptr) return std::make_unique<Document>(doc);
  if (HitBound(parser->lastError)) return TooMuch();
  return absl::InvalidArgumentError(
      absl::StrCat("the body is not well-formed XML: ", Reason(&parser->lastError)));
}

absl::StatusOr<std::unique_ptr<XPathDocument>> ParseHtml(absl::string_view text,
                                                         absl::string_view content_type) {
  std::unique_ptr<xmlParserCtxt, void (*)(xmlParserCtxtPtr)> parser(htmlNewParserCtxt(),
                                                                    htmlFreeParserCtxt);
  if (parser == nullptr) return absl::ResourceExhaustedError("no memory for an HTML parser");
  // libxml2 takes a NUL for the end of the page.
  std::string cleaned;
  if (absl::StrContains(text, '\0')) {
    cleaned = absl::StrReplaceAll(text, {{absl::string_view("\0", 1), " "}});
    text = cleaned;
  }
  const std::string encoding = HtmlEncodingOf(text, content_type);
  htmlDocPtr doc = htmlCtxtReadMemory(
      parser.get(), text.data(), static_cast<int>(text.size()), nullptr, encoding.c_str(),
      HTML_PARSE_RECOVER | HTML_PARSE_NONET | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING);
  if (doc == nullptr) return absl::InvalidArgumentError("the body is not HTML");
  auto document = std::make_unique<Document>(doc);
  // Of a page that it gave up it keeps what came before: what is missing there proves nothing.
  if (parser->disableSAX != 0 || HitBound(parser->lastError)) return TooMuch();
  return document;
}

class CompiledXPath : public XPath {
 public:
  explicit CompiledXPath(xmlXPathCompExprPtr expr) : expr_(expr) {}
  ~CompiledXPath() override { xmlXPathFreeCompExpr(expr_); }

  absl::StatusOr<XPathValue> Evaluate(const XPathDocument& document,
                                      unsigned long operations_most) const override {
    Silence();
    xmlDocPtr doc = static_cast<const Document&>(document).doc();
    std::unique_ptr<xmlXPathContext, void (*)(xmlXPathContextPtr)> context(xmlXPathNewContext(doc),
                                                                           xmlXPathFreeContext);
    if (context == nullptr) return absl::ResourceExhaustedError("no memory for an XPath");
    context->error = IgnoreStructured;
    context->opLimit = operations_most;
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
  const MarkupKind kind = MarkupKindOf(text, content_type);
  if (kind == MarkupKind::kNone)
    return absl::InvalidArgumentError("the body is neither XML nor HTML");
  const size_t most = DefaultEngineLimits().xpath_attributes;
  if (MostAttributes(text, kind, most + 1) > most) {
    return absl::ResourceExhaustedError(
        absl::StrCat("an element of the body has more than ", most, " attributes"));
  }
  return kind == MarkupKind::kXml ? ParseXml(text, content_type) : ParseHtml(text, content_type);
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
