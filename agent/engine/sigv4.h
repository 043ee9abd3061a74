// File: sigv4.h
//
// AWS Signature Version 4 in the Authorization header, after the public description at
// docs.aws.amazon.com ("Create a signed AWS API request").
//
// Thread rule: pure.

#ifndef AGENT_ENGINE_SIGV4_H_
#define AGENT_ENGINE_SIGV4_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/engine/transfer.h"
#include "agent/engine/url.h"

namespace picket {

struct SigV4Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // empty = none
  std::string region;
  std::string service;
};

// The fields to add to a request with these `headers` (Host is signed whether or not it
// is among them): X-Amz-Date, X-Amz-Content-Sha256 for s3, X-Amz-Security-Token with a
// session token, and Authorization. Every header given is signed, but for those that
// proxies and our own transport change (Connection, User-Agent, Accept-Encoding...).
HeaderList SignSigV4(const SigV4Credentials& credentials, absl::string_view method, const Url& url,
                     const HeaderList& headers, absl::string_view body, absl::Time now);

// For tests and messages: the canonical request of the above.
std::string SigV4CanonicalRequest(absl::string_view service, absl::string_view method,
                                  const Url& url, const HeaderList& headers,
                                  absl::string_view body_sha256, std::string* signed_headers);

// Lower-case hexadecimal.
std::string Sha256Hex(absl::string_view bytes);

}  // namespace picket

#endif  // AGENT_ENGINE_SIGV4_H_
