// File: render_request.h
//
// A step's request with its templates filled in, and the single transfers that it becomes
// on its way through redirects.
//
// Thread rule: thread-compatible.

#ifndef AGENT_ENGINE_RENDER_REQUEST_H_
#define AGENT_ENGINE_RENDER_REQUEST_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/engine/compiled_test.h"
#include "agent/engine/cookies.h"
#include "agent/engine/redirect.h"
#include "agent/engine/sigv4.h"
#include "agent/engine/transfer.h"
#include "agent/engine/url.h"
#include "agent/engine/variables.h"

namespace picket {

struct RenderedHeader {
  std::string name, value;
  bool secret = false;  // its template names a secret
};

struct RenderedRequest {
  std::string method;
  Url url;
  std::vector<RenderedHeader> headers;
  std::vector<std::pair<std::string, std::string>> cookies;  // the suite's own
  bool cookies_secret = false;
  std::optional<std::string> body;
  bool body_secret = false;
  std::optional<std::pair<std::string, std::string>> digest;
  std::optional<SigV4Credentials> sigv4;
  std::map<std::string, std::string> resolve;
  std::string proxy;  // empty = none
  TlsOptions tls;
  // Secrets in any part of it.
  std::vector<std::string> secrets;
};

// InvalidArgument, ResourceExhausted: the request cannot be built. NotFound: a variable has
// no value. Messages hold no values.
absl::StatusOr<RenderedRequest> RenderRequest(const CompiledStep& step, Variables& variables,
                                              absl::Time now, uint64_t boundary_seed);

// Turns the request into the one that a redirect asks for: what belongs to the old origin
// stays behind (credentials, cookies of the suite, client certificate, every field that
// holds a secret).
void FollowRedirect(const RedirectAnswer& answer, RenderedRequest& request);

// The next transfer, cookies of the jar included; SigV4 signs here.
TransferRequest MakeTransfer(const CompiledStep& step, const RenderedRequest& request,
                             const CookieJar& jar, absl::Time now);

// The proxy that http_proxy, https_proxy, all_proxy and no_proxy of the process name for
// `url`; empty = none.
std::string ProxyFromEnvironment(const Url& url);

}  // namespace picket

#endif  // AGENT_ENGINE_RENDER_REQUEST_H_
