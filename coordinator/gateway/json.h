// File: json.h
//
// Messages to and from JSON as the HTTP API has it: protobuf's mapping, original field
// names, every field without presence printed.
//
// Thread rule: pure.

#ifndef COORDINATOR_GATEWAY_JSON_H_
#define COORDINATOR_GATEWAY_JSON_H_

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/telemetry/http_server.h"

namespace picket {

std::string ToJson(const google::protobuf::Message& message);
// InvalidArgument says what cannot be read; unknown fields are errors.
absl::Status FromJson(absl::string_view json, google::protobuf::Message& message);

// 200 with the message, or the problem.
HttpResponse JsonAnswer(const google::protobuf::Message& message);
template <typename Message>
HttpResponse JsonAnswer(const absl::StatusOr<Message>& answer) {
  return answer.ok() ? JsonAnswer(*answer) : HttpProblem(answer.status());
}

}  // namespace picket

#endif  // COORDINATOR_GATEWAY_JSON_H_
