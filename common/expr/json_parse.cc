#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/expr/json.h"

namespace picket {
namespace {

// Builds the tree while the text is read, and stops at the first bound reached. Children are
// collected apart and moved into their container when it ends: ordered_json's own insertion
// searches linearly and its growth copies whole subtrees.
class BoundedBuilder : public nlohmann::json_sax<Json> {
 public:
  explicit BoundedBuilder(JsonBounds bounds) : bounds_(bounds) {}

  bool null() override { return Count() && Add(Json(nullptr)); }
  bool boolean(bool value) override { return Count() && Add(Json(value)); }
  bool number_integer(number_integer_t value) override { return Count() && Add(Json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return Count() && Add(Json(value)); }
  bool number_float(number_float_t value, const string_t&) override {
    return Count() && Add(Json(value));
  }
  bool string(string_t& value) override { return Count() && Add(Json(std::move(value))); }
  bool binary(binary_t&) override { return false; }

  bool start_object(size_t) override { return Open(); }
  bool start_array(size_t) override { return Open(); }

  bool key(string_t& name) override {
    Frame& frame = stack_.back();
    frame.member = frame.names.size();
    if (frame.index.empty()) {
      for (size_t i = 0; i < frame.names.size(); ++i) {
        if (frame.names[i] == name) frame.member = i;
      }
      if (frame.names.size() >= kIndexFrom) {
        for (size_t i = 0; i < frame.names.size(); ++i) frame.index[frame.names[i]] = i;
      }
    } else if (auto it = frame.index.find(name); it != frame.index.end()) {
      frame.member = it->second;
    }
    if (*frame.member < frame.names.size()) return true;
    if (!frame.index.empty()) frame.index[name] = *frame.member;
    frame.names.push_back(std::move(name));
    frame.values.emplace_back();
    return true;
  }

  bool end_object() override {
    Frame frame = Pop();
    Json::object_t members;
    members.reserve(frame.names.size());
    for (size_t i = 0; i < frame.names.size(); ++i) {
      members.emplace_back(std::move(frame.names[i]), std::move(frame.values[i]));
    }
    return Add(Json(std::move(members)));
  }

  bool end_array() override {
    Frame frame = Pop();
    return Add(Json(Json::array_t(std::move(frame.values))));
  }

  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    // nlohmann counts the bytes read, so the offending one is the last of them.
    const size_t offset = position == 0 ? 0 : position - 1;
    absl::string_view reason = error.what();
    if (size_t at = reason.find("] "); at != absl::string_view::npos) reason.remove_prefix(at + 2);
    if (absl::StartsWith(reason, "parse error")) {
      if (size_t at = reason.find(": "); at != absl::string_view::npos) {
        reason.remove_prefix(at + 2);
      }
    }
    status_ =
        absl::InvalidArgumentError(absl::StrCat("not valid JSON at byte ", offset, ": ", reason));
    return false;
  }

  absl::StatusOr<Json> Finish(bool complete) {
    if (!status_.ok()) return status_;
    if (!complete) return absl::InvalidArgumentError("not valid JSON at byte 0: no value");
    return std::move(root_);
  }

 private:
  static constexpr size_t kIndexFrom = 16;

  struct Frame {
    std::vector<std::string> names;  // of an object; as many as values
    std::vector<Json> values;
    std::optional<size_t> member;  // of an object: where the next value goes
    absl::flat_hash_map<std::string, size_t> index;
  };

  bool Count() {
    if (++nodes_ <= bounds_.nodes) return true;
    status_ = absl::ResourceExhaustedError(
        absl::StrCat("the JSON text holds more than ", bounds_.nodes, " values"));
    return false;
  }

  bool Add(Json value) {
    if (stack_.empty()) {
      root_ = std::move(value);
    } else if (Frame& frame = stack_.back(); frame.member.has_value()) {
      frame.values[*frame.member] = std::move(value);
    } else {
      frame.values.push_back(std::move(value));
    }
    return true;
  }

  bool Open() {
    if (stack_.size() >= static_cast<size_t>(bounds_.depth)) {
      status_ = absl::ResourceExhaustedError(
          absl::StrCat("the JSON text nests deeper than ", bounds_.depth, " levels"));
      return false;
    }
    stack_.emplace_back();
    return Count();
  }

  Frame Pop() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    return frame;
  }

  const JsonBounds bounds_;
  Json root_;
  std::vector<Frame> stack_;
  size_t nodes_ = 0;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<Json> ParseJson(absl::string_view text, JsonBounds bounds) {
  BoundedBuilder builder(bounds);
  const bool complete = Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.Finish(complete);
}

}  // namespace picket
