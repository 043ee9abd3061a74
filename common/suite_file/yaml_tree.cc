#include "common/suite_file/yaml_tree.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

// Builds the tree from yaml-cpp's events. yaml-cpp recurses for its part, but refuses
// by itself what is nested deeper than 500; past our own bounds events are let go by.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(YamlDocument& document) : document_(document) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 2) Error(mark, "a second YAML document starts here; a file holds one");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (YamlNode* node = New(mark, YamlNode::Kind::kNull, "?", anchor)) Finish(node, anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode* node = New(mark, YamlNode::Kind::kScalar, tag, anchor);
    if (node == nullptr) return;
    node->text = value;
    node->quoted = tag == "!";
    if (node->quoted) last_quoted_ = node;
    Finish(node, anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, YamlNode::Kind::kList, tag, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, YamlNode::Kind::kMap, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapEnd() override { Close(); }

  // The last scalar in quotes or blocks; null if there is none.
  const YamlNode* last_quoted() const { return last_quoted_; }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (stopped_ || documents_ != 1) return;
    auto found = anchors_.find(anchor);
    if (found == anchors_.end() || !sizes_.contains(found->second)) {
      return Stop(mark, "an alias that stands within its own anchor");
    }
    const Size size = sizes_[found->second];
    alias_nodes_ += size.nodes;
    if (alias_nodes_ > DefaultLimits().yaml_alias_nodes) {
      return Stop(mark, absl::StrCat("the aliases up to here stand for more than ",
                                     DefaultLimits().yaml_alias_nodes, " nodes"));
    }
    if (static_cast<int>(frames_.size()) + size.depth > DefaultLimits().yaml_depth) {
      return TooDeep(mark);
    }
    Attach(found->second, size, &mark);
  }

 private:
  // How much of a tree hangs under a node, aliases expanded.
  struct Size {
    uint64_t nodes = 1;
    int depth = 1;
  };
  struct Frame {
    YamlNode* node;
    bool anchored;
    Size size;
    YamlNode* key = nullptr;  // of a map, once its key was read
    YAML::Mark key_mark;
    absl::flat_hash_set<std::string> keys;
  };

  void Error(const YAML::Mark& mark, std::string message) {
    if (document_.errors.size() < 10'000) {
      document_.errors.push_back({mark.line + 1, mark.column + 1, std::move(message)});
    }
  }
  void Stop(const YAML::Mark& mark, std::string message) {
    Error(mark, std::move(message));
    stopped_ = true;
  }
  void TooDeep(const YAML::Mark& mark) {
    Stop(mark, absl::StrCat("nested deeper than ", DefaultLimits().yaml_depth, " levels"));
  }

  YamlNode* New(const YAML::Mark& mark, YamlNode::Kind kind, const std::string& tag,
                YAML::anchor_t anchor) {
    if (stopped_ || documents_ != 1) return nullptr;
    if (document_.nodes.size() >= DefaultLimits().yaml_nodes) {
      Stop(mark, absl::StrCat("the file has more than ", DefaultLimits().yaml_nodes, " values"));
      return nullptr;
    }
    YamlNode& node = document_.nodes.emplace_back();
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    if (tag != "?" && tag != "!" && !tag.empty()) {
      Error(mark, absl::StrCat("the tag '", tag, "'; tags are not allowed"));
    }
    if (anchor != 0) anchors_[anchor] = &node;
    return &node;
  }

  void Open(const YAML::Mark& mark, YamlNode::Kind kind, const std::string& tag,
            YAML::anchor_t anchor) {
    if (stopped_ || documents_ != 1) return;
    if (static_cast<int>(frames_.size()) >= DefaultLimits().yaml_depth) return TooDeep(mark);
    YamlNode* node = New(mark, kind, tag, anchor);
    if (node != nullptr) frames_.push_back(Frame{node, anchor != 0, {}});
  }

  void Close() {
    if (stopped_ || documents_ != 1) return;
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (frame.anchored) sizes_[frame.node] = frame.size;
    Attach(frame.node, frame.size, nullptr);
  }

  void Finish(YamlNode* node, YAML::anchor_t anchor) {
    const Size size;
    if (anchor != 0) sizes_[node] = size;
    Attach(node, size, nullptr);
  }

  // Hangs a finished node under the innermost open one.
  void Attach(YamlNode* node, const Size& size, const YAML::Mark* alias_mark) {
    if (frames_.empty()) {
      document_.root = node;
      return;
    }
    Frame& frame = frames_.back();
    frame.size.nodes += size.nodes;
    frame.size.depth = std::max(frame.size.depth, size.depth + 1);
    if (frame.node->kind == YamlNode::Kind::kList) {
      frame.node->list.push_back(node);
      return;
    }
    if (frame.key == nullptr) {
      frame.key = node;
      frame.key_mark = alias_mark != nullptr ? *alias_mark : MarkOf(*node);
      return;
    }
    YamlNode* key = frame.key;
    frame.key = nullptr;
    if (!key->is_text()) {
      Error(frame.key_mark,
            absl::StrCat("a key must be text, not ", Describe(*key),
                         key->is_scalar() ? "; put it in quotes"
                         : key->is_map()  ? "; a value that begins with '{{' needs quotes"
                                          : ""));
    } else if (!key->quoted && key->text == "<<") {
      Error(frame.key_mark, "merge keys ('<<') are not allowed; write the keys out");
    } else if (!frame.keys.insert(key->text).second) {
      Error(frame.key_mark, absl::StrCat("the key '", key->text, "' is there twice"));
    } else {
      frame.node->map.push_back({key, node});
    }
  }

  static YAML::Mark MarkOf(const YamlNode& node) {
    YAML::Mark mark;
    mark.line = node.line - 1;
    mark.column = node.column - 1;
    return mark;
  }

  YamlDocument& document_;
  int documents_ = 0;
  bool stopped_ = false;
  const YamlNode* last_quoted_ = nullptr;
  uint64_t alias_nodes_ = 0;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, YamlNode*> anchors_;
  // Of finished nodes that have an anchor.
  std::map<const YamlNode*, Size> sizes_;
};

// Bytes that no text has. The place of the first, or false.
bool FindNonText(absl::string_view text, YamlError& error) {
  int line = 1;
  size_t line_start = 0;
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    size_t length = 1;
    std::string what;
    if (c == 0) {
      what = "a NUL byte; this is not a text file";
    } else if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') {
      what = absl::StrCat("the control character 0x", absl::Hex(c, absl::kZeroPad2),
                          "; this is not a text file");
    } else if (c >= 0x80) {
      length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
      if (i + length > text.size() || !IsValidUtf8(text.substr(i, length))) {
        what = absl::StrCat("the byte 0x", absl::Hex(c, absl::kZeroPad2),
                            " is not UTF-8; a suite is UTF-8 text");
      }
    }
    if (!what.empty()) {
      error = {line, static_cast<int>(i - line_start) + 1, std::move(what)};
      return true;
    }
    i += length;
    if (c == '\n') {
      ++line;
      line_start = i;
    }
  }
  return false;
}

// Does a placeholder stand unquoted at the start of a value, at or before this line (from 0)?
bool OpensPlaceholder(absl::string_view text, int line) {
  size_t start = 0;
  for (int i = 0; start != absl::string_view::npos && i <= line; ++i) {
    const size_t end = text.find('\n', start);
    const absl::string_view row = text.substr(start, end - start);
    if (i >= line - 1 && (absl::StrContains(row, ": {{") || absl::StrContains(row, "- {{"))) {
      return true;
    }
    start = end == absl::string_view::npos ? end : end + 1;
  }
  return false;
}

size_t OffsetOf(absl::string_view text, int line, int column) {
  size_t start = 0;
  for (int i = 1; i < line; ++i) {
    const size_t end = text.find('\n', start);
    if (end == absl::string_view::npos) return text.size();
    start = end + 1;
  }
  return start + static_cast<size_t>(column) - 1;
}

bool IndentedByTab(absl::string_view text, int line) {
  const size_t start = OffsetOf(text, line + 1, 1);
  return start < text.size() && text[start] == '\t';
}

// yaml-cpp takes the end of the file for a closing quote. Only the last scalar can lack one.
bool IsUnclosed(absl::string_view text, const YamlNode& scalar) {
  size_t i = OffsetOf(text, scalar.line, scalar.column);
  if (i < text.size() && text[i] == '&') i = text.find_first_of("\"'|>", i);
  if (i >= text.size() || (text[i] != '"' && text[i] != '\'')) return false;
  const char quote = text[i++];
  for (; i < text.size(); ++i) {
    if (text[i] == '\\' && quote == '"') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || i + 1 >= text.size() || text[i + 1] != quote) return false;
      ++i;
    }
  }
  return true;
}

}  // namespace

YamlDocument ReadYaml(absl::string_view text) {
  YamlDocument document;
  if (text.size() > DefaultLimits().suite_file_bytes) {
    document.errors.push_back({0, 0,
                               absl::StrCat("the file has ", text.size(), " bytes; the most are ",
                                            DefaultLimits().suite_file_bytes)});
    return document;
  }
  absl::ConsumePrefix(&text, "\xef\xbb\xbf");
  YamlError error;
  if (FindNonText(text, error)) {
    document.errors.push_back(std::move(error));
    return document;
  }
  TreeBuilder builder(document);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    // The second call finds what follows the first document, if anything does.
    if (parser.HandleNextDocument(builder)) parser.HandleNextDocument(builder);
    const YamlNode* last = builder.last_quoted();
    if (last != nullptr && IsUnclosed(text, *last)) {
      document.errors.push_back({last->line, last->column, "this quote is never closed"});
      document.root = nullptr;
    }
  } catch (const YAML::DeepRecursion& e) {
    if (document.errors.empty()) {
      document.errors.push_back({e.mark.line + 1, e.mark.column + 1, "nested too deeply"});
    }
    document.root = nullptr;
  } catch (const YAML::Exception& e) {
    document.errors.push_back(
        {e.mark.line + 1, e.mark.column + 1,
         absl::StrCat("not valid YAML: ", e.msg,
                      OpensPlaceholder(text, e.mark.line)
                          ? "; a value that begins with '{{' needs quotes"
                      : IndentedByTab(text, e.mark.line) ? "; YAML indents by blanks, never by tabs"
                                                         : "")});
    document.root = nullptr;
  }
  return document;
}

}  // namespace picket
