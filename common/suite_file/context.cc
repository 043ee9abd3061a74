#include "common/suite_file/context.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/policy/limits.h"
#include "common/policy/sha256.h"

namespace picket {
namespace {

// Errors are kept past the number that is told, so that the first of the file are told.
constexpr size_t kKept = 10'000;

}  // namespace

SuiteContext::SuiteContext(absl::string_view text, const ParseOptions& options, FileAccess& files)
    : text_(text), options_(options), files_(files) {
  line_starts_.push_back(absl::StartsWith(text, "\xef\xbb\xbf") ? 3 : 0);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') line_starts_.push_back(i + 1);
  }
}

void SuiteContext::ToCharacters(std::vector<Diagnostic>& sorted) const {
  int line = 0, column = 1;
  size_t at = 0;
  for (Diagnostic& d : sorted) {
    if (d.file != options_.file_name) break;  // others come last
    if (d.line < 1 || d.column < 1 || static_cast<size_t>(d.line) > line_starts_.size()) continue;
    if (d.line != line) {
      line = d.line;
      column = 1;
      at = line_starts_[line - 1];
    }
    const size_t end =
        std::min(text_.size(), line_starts_[line - 1] + static_cast<size_t>(d.column) - 1);
    for (; at < end; ++at) column += (text_[at] & 0xc0) != 0x80;
    d.column = column;
  }
}

void SuiteContext::Error(Diagnostic diagnostic) {
  if (diagnostics_.size() < kKept) diagnostics_.push_back(std::move(diagnostic));
}

void SuiteContext::Error(const YamlError& error) {
  Error(Diagnostic{options_.file_name, error.line, error.line == 0 ? 0 : error.column,
                   error.message});
}

void SuiteContext::Error(const YamlNode& node, absl::string_view message,
                         std::optional<size_t> offset) {
  if (diagnostics_.size() >= kKept) return;
  if (node.line == 0) {
    return Error(Diagnostic{node.origin.empty() ? options_.file_name : node.origin, 0, 0,
                            std::string(message)});
  }
  int column = node.column;
  if (offset.has_value() && static_cast<size_t>(node.line) <= line_starts_.size()) {
    // Exact where the value stands in the file letter by letter; else the value's start.
    const size_t at = line_starts_[node.line - 1] + static_cast<size_t>(node.column) - 1;
    const size_t quote = node.quoted ? 1 : 0;
    if (at + quote < text_.size() && text_.substr(at + quote, node.text.size()) == node.text &&
        !absl::StrContains(node.text, "\n")) {
      column += static_cast<int>(quote + *offset);
    }
  }
  Error(Diagnostic{options_.file_name, node.line, column, std::string(message)});
}

const std::string* SuiteContext::File(const YamlNode& node) {
  auto [found, fresh] = contents_.try_emplace(node.text);
  if (fresh) {
    auto bytes = files_.Read(node.text);
    if (bytes.ok() && bytes->size() > DefaultLimits().data_file_bytes) {
      bytes = absl::ResourceExhaustedError(absl::StrCat("the file '", node.text, "' has ",
                                                        bytes->size(), " bytes; the most are ",
                                                        DefaultLimits().data_file_bytes));
    }
    if (bytes.ok()) {
      found->second = std::make_unique<const std::string>(*std::move(bytes));
    } else {
      Error(node, bytes.status().message());
    }
  } else if (found->second == nullptr) {
    Error(node, absl::StrCat("the file '", node.text, "' cannot be read"));
  }
  return found->second.get();
}

std::optional<v1::FileRef> SuiteContext::Attach(const YamlNode& node) {
  const std::string* bytes = File(node);
  if (bytes == nullptr) return std::nullopt;
  v1::FileRef ref;
  ref.set_path(node.text);
  ref.set_size_bytes(bytes->size());
  ref.set_sha256(Sha256Digest(*bytes));
  auto [blob, fresh] = blobs_.try_emplace(ref.sha256());
  if (fresh) {
    blob->second.set_sha256(ref.sha256());
    blob->second.set_data(*bytes);
  }
  return ref;
}

YamlNode* SuiteContext::NewNode() { return &nodes_.emplace_back(); }

void SuiteContext::Adopt(YamlDocument document) {
  documents_.push_back(std::make_unique<YamlDocument>(std::move(document)));
}

std::vector<Diagnostic> SuiteContext::TakeDiagnostics() {
  const auto rank = [this](const Diagnostic& d) {
    return std::make_tuple(d.file != options_.file_name, d.file, d.line, d.column);
  };
  std::stable_sort(diagnostics_.begin(), diagnostics_.end(),
                   [&](const Diagnostic& a, const Diagnostic& b) { return rank(a) < rank(b); });
  std::vector<Diagnostic> told;
  for (Diagnostic& d : diagnostics_) {
    const bool seen = std::any_of(told.rbegin(), told.rend(), [&](const Diagnostic& t) {
      return t.line == d.line && t.column == d.column && t.message == d.message && t.file == d.file;
    });
    if (seen) continue;
    if (told.size() == DefaultLimits().diagnostics) break;
    told.push_back(std::move(d));
  }
  diagnostics_.clear();
  ToCharacters(told);
  return told;
}

std::vector<v1::Blob> SuiteContext::TakeBlobs() {
  std::vector<v1::Blob> blobs;
  for (auto& [digest, blob] : blobs_) blobs.push_back(std::move(blob));
  blobs_.clear();
  return blobs;
}

}  // namespace picket
