// File: http_server.h
//
// The one HTTP server of a process, over CivetWeb: /metrics, /healthz, /readyz, and
// the routes given to it (JSON, pages, event streams). Plain HTTP, for loopback or the
// inside of a network.
//
// Safety (docs/SECURITY.md): a request whose Host is a name other than localhost and
// those allowed is refused with 403, so that no page in a browser can reach it under a
// name of its own; the three routes above answer any Host. POST, PUT, PATCH and DELETE
// with a body need `Content-Type: application/json` (415). There is no CORS. Errors are
// problem details (RFC 9457).
//
// Thread rule: safe to call from any thread. Handlers run on the server's threads,
// several at once, one request a thread; `held` routes may wait there.

#ifndef COMMON_TELEMETRY_HTTP_SERVER_H_
#define COMMON_TELEMETRY_HTTP_SERVER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace picket {

class Metrics;

struct HttpRequest {
  std::string method;  // upper case
  std::string path;    // decoded, without dot segments
  std::string query;   // as sent, without '?'
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string peer;  // address of the client

  // The first header of that name (case-insensitive); empty if there is none.
  absl::string_view Header(absl::string_view name) const;
  // The query parameter, decoded; nothing if it is not there.
  std::optional<std::string> Param(absl::string_view name) const;
};

// An answer that is written bit by bit. Used by one thread.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  // False: the client has gone or the server stops; return soon.
  virtual bool Write(absl::string_view bytes) = 0;
  // Waits; false as for Write.
  virtual bool Wait(absl::Duration longest) = 0;
  // What was written is not the whole answer, and the client is to know: the connection is
  // cut. Nothing is written after it.
  virtual void Cut() = 0;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // If set, called after the head was sent, instead of `body`; the answer is whole when it
  // returns (in chunks, to clients of HTTP/1.1). Only where waiting requests are bounded.
  std::function<void(HttpStream&)> stream;
};

// A problem document (RFC 9457) with `detail` for people.
HttpResponse HttpProblem(int status, absl::string_view detail);
// The same out of a status, its code mapped as gRPC's HTTP mapping has it.
HttpResponse HttpProblem(const absl::Status& status);

struct HttpRoute {
  std::string method = "GET";  // GET answers HEAD too
  // Exact, or a prefix if it ends in '/'. The longest match wins.
  std::string path;
  std::function<HttpResponse(const HttpRequest&)> handle;
  // May wait for long: counted against HttpServerOptions::held_most.
  bool held = false;
  // Answers under any Host, and takes any content type.
  bool open = false;
  size_t body_bytes_most = 1u << 20;  // more is 413
};

struct HttpServerOptions {
  std::string listen = "127.0.0.1:0";  // "ip:port" (IPv4: Debian's CivetWeb); port 0 = any free
  std::vector<std::string> hosts;      // further names that Host may bear
  int threads = 256;                   // at least held_most plus a few
  int held_most = 128;                 // more are answered 503 with Retry-After
  absl::Duration request_timeout = absl::Seconds(10);  // to receive one, to send a part
  // Must outlive the server. Null = no /metrics.
  Metrics* metrics = nullptr;
  // Says whether the process can do its work, for /readyz; unset = always.
  std::function<absl::Status()> ready;
  std::vector<HttpRoute> routes;
};

class HttpServer {
 public:
  // Serves when it returns. InvalidArgument: `listen` is no address. FailedPrecondition:
  // it cannot be bound; names it and why.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(HttpServerOptions options);
  // Ends streams, waits for handlers, closes.
  virtual ~HttpServer() = default;

  // Where it listens, with the port that was taken: "127.0.0.1:41812".
  virtual std::string address() const = 0;
};

// True if a request under this Host header may be served: an IP address, localhost or
// a name below it, or one of `allowed`; a port is disregarded.
bool HostAllowed(absl::string_view host, const std::vector<std::string>& allowed);

}  // namespace picket

#endif  // COMMON_TELEMETRY_HTTP_SERVER_H_
