#include "common/telemetry/http_server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/telemetry/metrics.h"

namespace picket {
namespace {

constexpr size_t kReadChunk = 64u << 10;

struct Listen {
  std::string ip;
  uint16_t port = 0;
  std::string ToString(uint16_t actual) const { return absl::StrCat(ip, ":", actual); }
};

absl::StatusOr<Listen> ParseListen(absl::string_view text) {
  const absl::Status bad = absl::InvalidArgumentError(
      absl::StrCat("the HTTP address must be IPV4:PORT, not '", text, "'"));
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return bad;
  Listen listen;
  uint32_t port = 0;
  if (!absl::SimpleAtoi(text.substr(colon + 1), &port) || port > 65535) return bad;
  listen.port = static_cast<uint16_t>(port);
  absl::string_view ip = text.substr(0, colon);
  if (ip == "localhost") ip = "127.0.0.1";
  listen.ip = std::string(ip);
  in_addr address;
  if (inet_pton(AF_INET, listen.ip.c_str(), &address) != 1) return bad;
  return listen;
}

bool HasBody(const std::string& method) {
  return method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE";
}

bool IsJson(absl::string_view content_type) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(content_type, absl::MaxSplits(';', 1));
  return absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(parts.first), "application/json");
}

class Server : public HttpServer {
 public:
  explicit Server(HttpServerOptions options) : options_(std::move(options)) { AddBuiltIns(); }
  ~Server() override { Stop(); }

  absl::Status Listen();
  std::string address() const override { return address_; }

  int Serve(mg_connection* connection);
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
  // Waits until the server stops or `longest` has passed.
  bool WaitOpen(absl::Duration longest);

 private:
  void AddBuiltIns();
  void Stop();
  const HttpRoute* Find(const HttpRequest& request, std::string* allow) const;
  // Reads the body; a problem's status, or 0.
  int ReadBody(mg_connection* connection, const HttpRoute& route, HttpRequest& request);
  HttpResponse Answer(mg_connection* connection, const HttpRoute& route, HttpRequest& request);
  void Send(mg_connection* connection, bool head, HttpResponse& response);

  HttpServerOptions options_;
  std::string address_;
  mg_context* context_ = nullptr;
  std::atomic<int> held_{0};
  std::atomic<bool> stopping_{false};
  Mutex mu_;
  CondVar stopped_;
};

class Stream : public HttpStream {
 public:
  Stream(Server* server, mg_connection* connection, bool chunked)
      : server_(server), connection_(connection), chunked_(chunked) {}

  bool Write(absl::string_view bytes) override {
    if (gone_ || server_->stopping()) return false;
    if (!bytes.empty()) gone_ = !Send(bytes);
    return !gone_;
  }
  bool Wait(absl::Duration longest) override { return !gone_ && server_->WaitOpen(longest); }
  void Cut() override { gone_ = true; }
  // The last chunk, without which a client knows that something is missing.
  void Finish() {
    if (chunked_ && !gone_ && !server_->stopping()) mg_write(connection_, "0\r\n\r\n", 5);
  }

 private:
  bool Send(absl::string_view bytes) {
    if (!chunked_) {
      return mg_write(connection_, bytes.data(), bytes.size()) == static_cast<int>(bytes.size());
    }
    const std::string chunk = absl::StrCat(absl::Hex(bytes.size()), "\r\n", bytes, "\r\n");
    return mg_write(connection_, chunk.data(), chunk.size()) == static_cast<int>(chunk.size());
  }

  Server* server_;
  mg_connection* connection_;
  const bool chunked_;
  bool gone_ = false;
};

void Server::AddBuiltIns() {
  if (options_.metrics != nullptr) {
    options_.routes.push_back({.path = "/metrics",
                               .handle =
                                   [metrics = options_.metrics](const HttpRequest&) {
                                     HttpResponse response;
                                     response.content_type = "text/plain; version=0.0.4";
                                     response.body = metrics->Text();
                                     return response;
                                   },
                               .open = true});
  }
  const auto text = [](int status, std::string body) {
    HttpResponse response;
    response.status = status;
    response.content_type = "text/plain";
    response.body = std::move(body);
    return response;
  };
  options_.routes.push_back({.path = "/healthz",
                             .handle = [text](const HttpRequest&) { return text(200, "ok\n"); },
                             .open = true});
  options_.routes.push_back({.path = "/readyz",
                             .handle =
                                 [text, ready = options_.ready](const HttpRequest&) {
                                   const absl::Status status = ready ? ready() : absl::OkStatus();
                                   return status.ok()
                                              ? text(200, "ready\n")
                                              : text(503, absl::StrCat(status.message(), "\n"));
                                 },
                             .open = true});
}

absl::Status Server::Listen() {
  static const unsigned library = mg_init_library(MG_FEATURES_DEFAULT);
  (void)library;
  ABSL_ASSIGN_OR_RETURN(const struct Listen listen, ParseListen(options_.listen));
  const std::string ports = listen.ToString(listen.port);
  const std::string threads = absl::StrCat(options_.threads);
  const std::string timeout = absl::StrCat(absl::ToInt64Milliseconds(options_.request_timeout));
  const char* settings[] = {"listening_ports",
                            ports.c_str(),
                            "num_threads",
                            threads.c_str(),
                            "request_timeout_ms",
                            timeout.c_str(),
                            "enable_keep_alive",
                            "no",
                            "tcp_nodelay",
                            "1",
                            "listen_backlog",
                            "512",
                            "decode_url",  // we do: CivetWeb would cut a path at %00
                            "no",
                            "connection_queue",
                            "128",
                            nullptr};
  mg_callbacks callbacks;
  memset(&callbacks, 0, sizeof callbacks);
  callbacks.begin_request = [](mg_connection* connection) {
    auto* server = static_cast<Server*>(mg_get_request_info(connection)->user_data);
    return server->Serve(connection);
  };
  callbacks.log_message = [](const mg_connection*, const char* message) {
    Log(LogLevel::kDebug, "http server", {{"message", message}});
    return 1;
  };
  // CivetWeb's own refusals (a request line it cannot read) as problems, too.
  callbacks.http_error = [](mg_connection* connection, int status, const char* message) {
    auto* server = static_cast<Server*>(mg_get_user_data(mg_get_context(connection)));
    HttpResponse response = HttpProblem(status, message != nullptr ? message : "");
    server->Send(connection, false, response);
    return 0;
  };
  char reason[256] = "";
  mg_error_data error;
  memset(&error, 0, sizeof error);
  error.text = reason;
  error.text_buffer_size = sizeof reason;
  mg_init_data init;
  memset(&init, 0, sizeof init);
  init.callbacks = &callbacks;
  init.user_data = this;
  init.configuration_options = settings;
  context_ = mg_start2(&init, &error);
  if (context_ == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot serve HTTP at ", options_.listen, " (", reason[0] ? reason : "cannot listen",
        "); is the port taken, or the address not this machine's?"));
  }
  mg_server_port bound[1];
  memset(bound, 0, sizeof bound);
  if (mg_get_server_ports(context_, 1, bound) < 1) {
    return absl::InternalError("the HTTP server does not know its port");
  }
  address_ = listen.ToString(static_cast<uint16_t>(bound[0].port));
  return absl::OkStatus();
}

// mg_stop waits for a thread that looks up every 2 s; a connection makes it look.
void Server::Stop() {
  if (context_ == nullptr) return;
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    stopped_.SignalAll();
  }
  bool done = false;
  CondVar ended;
  std::thread stopper([this, &done, &ended] {
    mg_stop(context_);
    MutexLock lock(&mu_);
    done = true;
    ended.SignalAll();
  });
  const auto at = ParseListen(address_);
  const auto is_done = [this, &done, &ended] {
    MutexLock lock(&mu_);
    if (!done) ended.WaitWithTimeout(&mu_, absl::Milliseconds(2));
    return done;
  };
  while (at.ok() && !is_done()) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(at->port);
      inet_pton(AF_INET, at->ip.c_str(), &to.sin_addr);
      (void)connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to);
      close(fd);
    }
  }
  stopper.join();
  context_ = nullptr;
}

bool Server::WaitOpen(absl::Duration longest) {
  MutexLock lock(&mu_);
  if (!stopping_) stopped_.WaitWithTimeout(&mu_, longest);
  return !stopping_;
}

const HttpRoute* Server::Find(const HttpRequest& request, std::string* allow) const {
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  const HttpRoute* best = nullptr;
  for (const HttpRoute& route : options_.routes) {
    const bool prefix = absl::EndsWith(route.path, "/") && route.path.size() > 1;
    const bool match =
        prefix ? absl::StartsWith(request.path, route.path) : request.path == route.path;
    if (!match) continue;
    if (route.method != method) {
      absl::StrAppend(allow, allow->empty() ? "" : ", ", route.method);
      continue;
    }
    if (best == nullptr || route.path.size() > best->path.size()) best = &route;
  }
  return best;
}

int Server::ReadBody(mg_connection* connection, const HttpRoute& route, HttpRequest& request) {
  const long long length = mg_get_request_info(connection)->content_length;
  if (length > 0 && static_cast<unsigned long long>(length) > route.body_bytes_most) return 413;
  if (!HasBody(request.method) && length <= 0) return 0;
  std::string chunk(kReadChunk, '\0');
  while (true) {
    const int n = mg_read(connection, chunk.data(), chunk.size());
    if (n < 0) return 400;
    if (n == 0) break;
    if (request.body.size() + static_cast<size_t>(n) > route.body_bytes_most) return 413;
    request.body.append(chunk, 0, static_cast<size_t>(n));
  }
  if (length > 0 && request.body.size() < static_cast<size_t>(length)) return 400;
  return 0;
}

HttpResponse Server::Answer(mg_connection* connection, const HttpRoute& route,
                            HttpRequest& request) {
  if (!route.open && !HostAllowed(request.Header("Host"), options_.hosts)) {
    return HttpProblem(403, absl::StrCat("Host '", request.Header("Host"),
                                         "' is not served here; allow it with --http-host"));
  }
  if (!route.open && HasBody(request.method) && !IsJson(request.Header("Content-Type")) &&
      (request.method != "DELETE" || !request.Header("Content-Type").empty())) {
    return HttpProblem(415, "Content-Type must be application/json");
  }
  switch (ReadBody(connection, route, request)) {
    case 413:
      return HttpProblem(413, absl::StrCat("the body holds more than ", route.body_bytes_most,
                                           " bytes, the most that is read here"));
    case 400:
      return HttpProblem(400, "the body ended early");
    default:
      break;
  }
  return route.handle(request);
}

void Server::Send(mg_connection* connection, bool head, HttpResponse& response) {
  std::string out = absl::StrCat("HTTP/1.1 ", response.status, " ",
                                 mg_get_response_code_text(connection, response.status), "\r\n",
                                 "Connection: close\r\n", "X-Content-Type-Options: nosniff\r\n");
  bool cache = false;
  for (const auto& [name, value] : response.headers) {
    cache = cache || absl::EqualsIgnoreCase(name, "Cache-Control");
    absl::StrAppend(&out, name, ": ", value, "\r\n");
  }
  if (!cache) absl::StrAppend(&out, "Cache-Control: no-store\r\n");
  absl::StrAppend(&out, "Content-Type: ", response.content_type, "\r\n");
  const char* const version = mg_get_request_info(connection)->http_version;
  const bool chunked =
      response.stream && version != nullptr && absl::string_view(version) == "1.1";
  if (!response.stream) absl::StrAppend(&out, "Content-Length: ", response.body.size(), "\r\n");
  if (chunked) absl::StrAppend(&out, "Transfer-Encoding: chunked\r\n");
  out += "\r\n";
  if (!head && !response.stream) out += response.body;
  mg_write(connection, out.data(), out.size());
  if (head || !response.stream) return;
  Stream stream(this, connection, chunked);
  response.stream(stream);
  stream.Finish();
}

// Percent-decodes. False if an escape is broken or stands for a control character: such a path
// is refused whole, since it must not be served as another one.
bool DecodePath(absl::string_view raw, std::string* path) {
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '%') {
      path->push_back(raw[i]);
      continue;
    }
    if (i + 2 >= raw.size() || !absl::ascii_isxdigit(raw[i + 1]) ||
        !absl::ascii_isxdigit(raw[i + 2])) {
      return false;
    }
    const char byte = absl::HexStringToBytes(raw.substr(i + 1, 2))[0];
    if (absl::ascii_iscntrl(byte)) return false;
    path->push_back(byte);
    i += 2;
  }
  return true;
}

int Server::Serve(mg_connection* connection) {
  const mg_request_info* info = mg_get_request_info(connection);
  HttpRequest request;
  request.method =
      absl::AsciiStrToUpper(info->request_method != nullptr ? info->request_method : "");
  const bool whole =
      DecodePath(info->local_uri != nullptr ? info->local_uri : "", &request.path);
  request.query = info->query_string != nullptr ? info->query_string : "";
  request.peer = info->remote_addr;
  for (int i = 0; i < info->num_headers; ++i) {
    request.headers.emplace_back(info->http_headers[i].name, info->http_headers[i].value);
  }
  const bool head = request.method == "HEAD";
  std::string allow;
  const HttpRoute* route = Find(request, &allow);
  HttpResponse response;
  bool held = false;
  absl::Cleanup release = [&] {
    if (held) --held_;
  };
  if (!whole) {
    response = HttpProblem(400, "the path holds an escape that stands for no character of a path");
  } else if (route == nullptr && !allow.empty()) {
    response = HttpProblem(405, absl::StrCat("this path takes ", allow));
    response.headers.emplace_back("Allow", allow);
  } else if (route == nullptr) {
    response = HttpProblem(404, absl::StrCat("there is nothing at ", request.path));
  } else if (route->held && (held = true, ++held_ > options_.held_most)) {
    response = HttpProblem(503, "too many requests are waiting here; try again");
  } else {
    response = Answer(connection, *route, request);
  }
  Send(connection, head, response);
  return response.status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options) {
  auto server = std::make_unique<Server>(std::move(options));
  ABSL_RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace picket
