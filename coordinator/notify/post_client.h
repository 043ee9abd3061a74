// File: post_client.h
//
// HTTP POSTs to places that the operator named: HTTP/1.1 or 2, TLS against the system's
// trust store, no redirect followed, no proxy out of the environment, a deadline each. The
// answer is its status; of its body nothing is kept.
//
// Thread rule: thread-compatible, but for Wake, which is safe to call from any thread.

#ifndef COORDINATOR_NOTIFY_POST_CLIENT_H_
#define COORDINATOR_NOTIFY_POST_CLIENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace picket {

class PostClient {
 public:
  struct Request {
    std::string url;
    std::vector<std::string> headers;  // "name: value"
    std::string body;
    absl::Duration timeout;  // from start to the end of the answer's head
  };
  struct Done {
    uint64_t id = 0;
    int status = 0;     // of the answer; 0 = there was none
    std::string error;  // why there was none
    std::optional<absl::Duration> retry_after;
  };

  virtual ~PostClient() = default;
  // Begins a request; ids rise from 1.
  virtual uint64_t Start(Request request) = 0;
  // What has ended, waiting for it or for Wake, but not longer than `longest`.
  virtual std::vector<Done> Wait(absl::Duration longest) = 0;
  // Makes the Wait under way, or the next one, return at once.
  virtual void Wake() = 0;
};

// Requests that are under way when it is deleted are dropped.
std::unique_ptr<PostClient> MakePostClient();

// InvalidArgument: `url` is not an absolute http or https URL, holds credentials or a
// fragment, or is too long.
absl::Status CheckPostUrl(absl::string_view url);

}  // namespace picket

#endif  // COORDINATOR_NOTIFY_POST_CLIENT_H_
