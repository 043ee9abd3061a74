// File: limits.h
//
// The bounds of the check engine alone; those that other rooms must know are in
// common/policy/limits.h.

#ifndef AGENT_ENGINE_LIMITS_H_
#define AGENT_ENGINE_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "common/policy/limits.h"

namespace picket {

// How much work one look at an answer may be.
struct WorkLimits {
  size_t jsonpath_nodes;           // visited by one query
  size_t schema_steps;             // keyword evaluations of one validation
  unsigned long xpath_operations;  // libxml2's opLimit, of one evaluation
};

struct EngineLimits {
  // What one attempt may use.
  size_t url_bytes = 16u << 10;            // as rendered
  size_t header_value_bytes = 64u << 10;   // one request header as rendered
  size_t request_body_bytes = 64u << 20;   // a multipart or decoded body
  size_t cookies_per_jar = 300;            // the oldest goes first (RFC 6265, 6.1)
  size_t cookie_bytes = 4096;              // name, value and attributes; larger ones are ignored
  size_t xpath_bytes = 4096;               // an expression as written
  size_t xpath_nodes = 100'000;            // in a node-set
  size_t xpath_attributes = 1'000;         // of one element of the body

  // What evaluates it.
  WorkLimits work{DefaultLimits().jsonpath_nodes, DefaultLimits().schema_steps, 2'000'000};
  // On the loop; what needs more begins again on a worker thread.
  size_t inline_body_bytes = 64u << 10;
  WorkLimits inline_work{20'000, 50'000, 20'000};
  absl::Duration inline_time = absl::Milliseconds(2);  // looked at between expectations
  int workers = 1;                         // threads
  int worker_niceness = 5;                 // so that they give way to the loops
  size_t worker_queue = 20'000;            // evaluations waiting; more are inconclusive

  // What is told of it.
  size_t assertion_text_bytes = 256;       // expected, actual, each
  size_t message_bytes = 500;
  size_t url_text_bytes = 500;             // of a hop
  size_t body_excerpt_bytes = 4096;
  size_t request_text_bytes = 8192;        // start line and headers, in evidence
  size_t response_text_bytes = 8192;
  size_t curl_line_bytes = 8192;
  size_t curl_body_bytes = 2048;           // a larger body is left out of the line
  size_t variable_text_bytes = 200;
  size_t evidence_variables = 50;
  size_t evidence_certificates = 5;
  size_t warnings = 20;
  size_t steps_told = 100;
  size_t replay_evidence_bytes = 96u << 10;  // of all steps of a replay, serialised
  size_t hops_bytes = 32u << 10;           // of one attempt, serialised
  size_t assertions_bytes = 64u << 10;     // of one failing attempt, serialised
  size_t agent_text_bytes = 130;           // of a passing result, left for the agent's name

  // When a measurement is poor.
  absl::Duration poor_scheduling_lag = absl::Milliseconds(250);
  absl::Duration poor_loop_stall = absl::Milliseconds(20);
  int64_t poor_stall_of_timeout_permille = 50;  // less of the time waited explains no timeout
  uint32_t poor_cpu_steal_permille = 100;
  absl::Duration steal_interval = absl::Seconds(1);     // between two looks at /proc/stat
  absl::Duration lag_interval = absl::Milliseconds(200);  // between two looks at a loop's lag

  // What one transfer may use.
  size_t response_header_bytes = 128u << 10;  // of all header fields, trailers included
  size_t response_header_fields = 500;
  size_t interim_responses = 16;           // 1xx before the final response
  size_t framing_bytes = 256u << 10;       // of chunks, beside their data …
  size_t framing_per_body_byte = 16;       // … and for each byte of it
  size_t content_codings = 4;              // of one response
  size_t decode_turn_bytes = 256u << 10;   // decoded, or passed on, for one transfer in one turn
  static constexpr size_t arrival_bytes = 16u << 10;  // looked at for the time they came
  size_t addresses = 16;                   // tried for one name and family
  size_t dns_aliases = 16;                 // CNAMEs followed
  size_t dns_tcp_questions = 64;           // whose answers fit no datagram, at once on a loop
  size_t certificates = 10;                // of a server's chain
  size_t alternative_names = 100;          // told of one certificate
  size_t pem_bytes = 4u << 20;             // a CA bundle, certificate or key
  absl::Duration connect_stagger = absl::Milliseconds(250);  // RFC 8305, 5: between attempts
  absl::Duration resolution_delay = absl::Milliseconds(50);  // RFC 8305, 3: for AAAA after A

  // What one loop does before it looks after the rest again.
  static constexpr size_t turn_events = 64;   // of those sockets that are ready
  static constexpr size_t ready_events = 1024;  // asked of the kernel at once
  size_t turn_posts = 64;                  // of the work posted
  size_t turn_timers = 64;                 // of those that are due

  // What one loop keeps.
  size_t open_connections = 24'000;        // those in use included
  size_t idle_connections = 1024;          // of `connection: reuse` and of sessions
  size_t lingering_sockets = 1024;         // waiting for the server's FIN; more are closed at once
  absl::Duration linger = absl::Milliseconds(200);
  size_t idle_handles = 256;               // libcurl handles kept for the next transfers
  size_t ca_stores = 64;                   // one per CA digest; the least used goes first
  size_t client_identities = 256;
  size_t loop_stalls_kept = 4096;
  absl::Duration stall_memory = absl::Hours(1);
  absl::Duration hosts_file_age = absl::Seconds(1);  // between two looks at it
  size_t hosts_entries = 200'000;

  // Secrets.
  size_t secret_bytes = 64u << 10;
};

// The limits in force. Constant: a limit is changed in the code, with its test.
inline const EngineLimits& DefaultEngineLimits() {
  static const EngineLimits limits;
  return limits;
}

}  // namespace picket

#endif  // AGENT_ENGINE_LIMITS_H_
