// File: dns_answer.h
//
// Reads the addresses out of a DNS answer (RFC 1035, section 4) and tells a name
// without addresses from an answer that makes no sense.
//
// Thread rule: plain functions and values.

#ifndef AGENT_ENGINE_DNS_ANSWER_H_
#define AGENT_ENGINE_DNS_ANSWER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/engine/dns_address.h"
#include "picket/v1/suite.pb.h"

namespace picket {

struct DnsAnswer {
  // none, dns_no_address or dns_server_failure.
  v1::FailureReason::Value reason = v1::FailureReason::none;
  std::string problem;  // a phrase for people, if there is one
  std::vector<IpAddress> addresses;
};

// `message` is a whole DNS answer with response code NOERROR to a question for A
// (or AAAA, if `v6`). Aliases are followed within the answer, 16 at most.
DnsAnswer ParseDnsAnswer(absl::string_view message, bool v6);

}  // namespace picket

#endif  // AGENT_ENGINE_DNS_ANSWER_H_
