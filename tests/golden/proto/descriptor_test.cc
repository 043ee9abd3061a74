// The wire, pinned: every field number, name and type, every enum value and method.
// What has been released is never changed and no number is used again: JSON knows
// fields by name, agents and coordinators of other versions know them by number.

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "picket/v1/agent_service.pb.h"
#include "picket/v1/plan_service.pb.h"
#include "picket/v1/result.pb.h"
#include "picket/v1/run.pb.h"
#include "picket/v1/run_service.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using ::testing::IsEmpty;

constexpr char kGoldenFile[] = PICKET_SOURCE_DIR "/tests/golden/proto/descriptor.txt";

std::string TypeOf(const FieldDescriptor& field) {
  std::string type;
  if (field.is_map()) {
    type = absl::StrCat("map<", TypeOf(*field.message_type()->field(0)), ",",
                        TypeOf(*field.message_type()->field(1)), ">");
  } else if (field.message_type() != nullptr) {
    type = field.message_type()->full_name();
  } else if (field.enum_type() != nullptr) {
    type = field.enum_type()->full_name();
  } else {
    type = field.type_name();
  }
  if (field.is_repeated() && !field.is_map()) return absl::StrCat("repeated ", type);
  if (field.has_optional_keyword()) return absl::StrCat("optional ", type);
  if (field.real_containing_oneof() != nullptr) {
    return absl::StrCat("oneof ", field.real_containing_oneof()->name(), " ", type);
  }
  return type;
}

void Add(const EnumDescriptor& descriptor, std::set<std::string>& lines) {
  for (int i = 0; i < descriptor.value_count(); ++i) {
    lines.insert(absl::StrCat("value ", descriptor.full_name(), ".", descriptor.value(i)->name(),
                              " = ", descriptor.value(i)->number()));
  }
}

void Add(const Descriptor& descriptor, std::set<std::string>& lines) {
  if (descriptor.options().map_entry()) return;
  lines.insert(absl::StrCat("message ", descriptor.full_name()));
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor& field = *descriptor.field(i);
    lines.insert(absl::StrCat("field ", descriptor.full_name(), ".", field.name(), " = ",
                              field.number(), " ", TypeOf(field)));
  }
  for (int i = 0; i < descriptor.reserved_range_count(); ++i) {
    const Descriptor::ReservedRange& range = *descriptor.reserved_range(i);
    for (int number = range.start; number < range.end; ++number) {
      lines.insert(absl::StrCat("reserved ", descriptor.full_name(), " ", number));
    }
  }
  for (int i = 0; i < descriptor.nested_type_count(); ++i) Add(*descriptor.nested_type(i), lines);
  for (int i = 0; i < descriptor.enum_type_count(); ++i) Add(*descriptor.enum_type(i), lines);
}

void Add(const ServiceDescriptor& service, std::set<std::string>& lines) {
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    lines.insert(absl::StrCat("method ", method.full_name(), "(",
                              method.client_streaming() ? "stream " : "",
                              method.input_type()->full_name(), ") returns (",
                              method.server_streaming() ? "stream " : "",
                              method.output_type()->full_name(), ")"));
  }
}

std::set<std::string> Wire() {
  std::set<std::string> lines;
  for (const FileDescriptor* file :
       {v1::Suite::descriptor()->file(), v1::Run::descriptor()->file(),
        v1::Evidence::descriptor()->file(), v1::GetRunRequest::descriptor()->file(),
        v1::EstimateRunRequest::descriptor()->file(), v1::Hello::descriptor()->file()}) {
    for (int i = 0; i < file->message_type_count(); ++i) Add(*file->message_type(i), lines);
    for (int i = 0; i < file->enum_type_count(); ++i) Add(*file->enum_type(i), lines);
    for (int i = 0; i < file->service_count(); ++i) Add(*file->service(i), lines);
  }
  return lines;
}

std::set<std::string> Golden() {
  std::ifstream file(kGoldenFile);
  std::stringstream text;
  text << file.rdbuf();
  return absl::StrSplit(text.str(), '\n', absl::SkipEmpty());
}

std::set<std::string> Minus(const std::set<std::string>& from, const std::set<std::string>& what) {
  std::set<std::string> rest;
  for (const std::string& line : from) {
    if (!what.contains(line)) rest.insert(line);
  }
  return rest;
}

TEST(WireTest, NothingReleasedIsChangedOrTakenAway) {
  const std::set<std::string> golden = Golden();
  if (std::getenv("PICKET_UPDATE_GOLDEN") != nullptr) {
    std::ofstream file(kGoldenFile);
    for (const std::string& line : Wire()) file << line << "\n";
    GTEST_SKIP() << "wrote " << kGoldenFile;
  }
  ASSERT_FALSE(golden.empty()) << "no " << kGoldenFile;
  EXPECT_THAT(Minus(golden, Wire()), IsEmpty())
      << "these were on the wire and are so no more; other versions still speak them";
}

TEST(WireTest, WhatIsNewIsWrittenDown) {
  EXPECT_THAT(Minus(Wire(), Golden()), IsEmpty())
      << "run this test with PICKET_UPDATE_GOLDEN=1 and commit descriptor.txt";
}

TEST(WireTest, NoNumberIsUsedTwiceInOneMessage) {
  std::set<std::string> seen;
  for (const std::string& line : Golden()) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words[0] != "field") continue;
    const std::string message = words[1].substr(0, words[1].rfind('.'));
    EXPECT_TRUE(seen.insert(absl::StrCat(message, " ", words[3])).second) << line;
  }
  for (const std::string& line : Golden()) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words[0] != "reserved") continue;
    EXPECT_FALSE(seen.contains(absl::StrCat(words[1], " ", words[2]))) << line;
  }
}

}  // namespace
}  // namespace picket
