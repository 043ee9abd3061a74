// File: redirect.h
//
// What a redirect asks for, and whether it may be followed (RFC 9110, section 15.4).
//
// Thread rule: pure.

#ifndef AGENT_ENGINE_REDIRECT_H_
#define AGENT_ENGINE_REDIRECT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "agent/engine/url.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// 301, 302, 303, 307, 308.
bool IsRedirect(int status);

struct RedirectQuestion {
  int status = 0;
  absl::string_view location;        // empty = the field is missing
  absl::string_view other_location;  // a second one that differs; empty = there is none
  Url from;
  absl::string_view method;
  bool has_body = false;
  bool body_uses_secret = false;
  bool allow_insecure = false;  // https to http
  int followed = 0;             // redirects of this step so far
  int most = 0;
};

struct RedirectAnswer {
  // none = follow.
  v1::FailureReason::Value reason = v1::FailureReason::none;
  std::string message;
  Url to;
  std::string method;
  bool keep_body = false;
  // Scheme, host or port change: what belongs to the old origin stays behind.
  bool new_origin = false;
};

RedirectAnswer AnswerRedirect(const RedirectQuestion& question);

}  // namespace picket

#endif  // AGENT_ENGINE_REDIRECT_H_
