#include "coordinator/gateway/json.h"

#include <google/protobuf/util/json_util.h>

#include "absl/strings/str_cat.h"

namespace picket {

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  // Only a message that is not ours (an Any of unknown type) cannot be printed.
  return status.ok() ? json + "\n" : "{}\n";
}

absl::Status FromJson(absl::string_view json, google::protobuf::Message& message) {
  const auto status = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(json.data(), json.size()), &message);
  if (status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the body is no ", message.GetDescriptor()->name(), ": ",
                   std::string(status.message().data(), status.message().size())));
}

HttpResponse JsonAnswer(const google::protobuf::Message& message) {
  HttpResponse response;
  response.body = ToJson(message);
  return response;
}

}  // namespace picket
