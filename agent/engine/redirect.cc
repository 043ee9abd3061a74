#include "agent/engine/redirect.h"

#include "absl/strings/str_cat.h"

namespace picket {
namespace {

RedirectAnswer Refuse(v1::FailureReason::Value reason, std::string message) {
  RedirectAnswer answer;
  answer.reason = reason;
  answer.message = std::move(message);
  return answer;
}

}  // namespace

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

RedirectAnswer AnswerRedirect(const RedirectQuestion& q) {
  const std::string host = HostAndPort(q.from);
  if (q.location.empty()) {
    return Refuse(v1::FailureReason::redirect_invalid,
                  absl::StrCat(host, " answered ", q.status, " without a Location"));
  }
  if (!q.other_location.empty()) {
    return Refuse(v1::FailureReason::redirect_invalid,
                  absl::StrCat(host, " answered ", q.status,
                               " with two Locations: ", q.location.substr(0, 100), " and ",
                               q.other_location.substr(0, 100)));
  }
  if (q.followed >= q.most) {
    return Refuse(v1::FailureReason::too_many_redirects,
                  absl::StrCat(host, " redirects once more after ", q.followed,
                               " redirects; max_redirects is ", q.most));
  }
  absl::StatusOr<Url> to = ResolveUrl(q.from, q.location);
  if (!to.ok()) {
    return Refuse(
        v1::FailureReason::redirect_invalid,
        absl::StrCat(host, " redirects to where no check can follow: ", to.status().message()));
  }
  if (q.from.scheme == "https" && to->scheme == "http" && !q.allow_insecure) {
    return Refuse(v1::FailureReason::redirect_invalid,
                  absl::StrCat(host, " redirects from https to http at ", HostAndPort(*to),
                               "; allow_insecure_redirect permits it"));
  }
  RedirectAnswer answer;
  answer.new_origin = !SameOrigin(q.from, *to);
  answer.method = std::string(q.method);
  answer.keep_body = q.has_body;
  const bool post_to_get = (q.status == 301 || q.status == 302) && q.method == "POST";
  const bool see_other = q.status == 303 && q.method != "HEAD" && q.method != "GET";
  if (post_to_get || see_other) {
    answer.method = "GET";
    answer.keep_body = false;
  }
  if (answer.keep_body && answer.new_origin && q.body_uses_secret) {
    return Refuse(
        v1::FailureReason::redirect_would_leak,
        absl::StrCat(host, " redirects to ", to->scheme, "://", HostAndPort(*to), " with status ",
                     q.status, ", which would send a body that holds a secret there"));
  }
  answer.to = *std::move(to);
  return answer;
}

}  // namespace picket
