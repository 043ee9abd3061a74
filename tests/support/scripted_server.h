// File: scripted_server.h
//
// A server on loopback that behaves as badly as the request's path says: behaviours
// are functions over a bare connection, found by path ("/rst-in-body"). Every wait
// ends when the client leaves or the server stops; nothing sleeps.
//
// Thread rule: safe from any thread. One thread per connection: for tests only.

#ifndef TESTS_SUPPORT_SCRIPTED_SERVER_H_
#define TESTS_SUPPORT_SCRIPTED_SERVER_H_

#include <openssl/ssl.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "tests/support/test_pki.h"

namespace picket {

// One accepted connection, in the hands of a behaviour.
class ScriptedConnection {
 public:
  ScriptedConnection(int fd, SSL* ssl, int stop_fd) : fd_(fd), ssl_(ssl), stop_fd_(stop_fd) {}
  ~ScriptedConnection();

  // Reads until an empty line, or nothing more comes; "" then.
  std::string ReadHead();
  // Reads exactly `size` bytes unless the client leaves.
  std::string ReadBytes(size_t size);
  // False once the client is gone or the server stops.
  bool Write(absl::string_view data);
  // Writes `data` again and again, `times` at most.
  bool WriteRepeatedly(absl::string_view data, size_t times);
  // Writes one byte at a time, `pause` between them.
  bool Drip(absl::string_view data, absl::Duration pause);
  // Waits until the client sends more, leaves, or the server stops.
  void WaitForClient();
  // Waits for `pause`; false if the server stopped first.
  bool Pause(absl::Duration pause);
  // Ends the connection with RST.
  void Reset();
  // Ends our direction only.
  void HalfClose();
  // Ends the connection without TLS's close_notify.
  void Close();
  // Passes bytes both ways between the client and `fd` until one side ends.
  void Relay(int fd);

  int fd() const { return fd_; }

 private:
  // Waits for `events`; false on stop or timeout.
  bool Await(short events, absl::Duration timeout);
  int ReadSome(char* data, size_t size);

  int fd_;
  SSL* const ssl_;
  const int stop_fd_;
  std::string buffered_;
};

using ScriptedBehaviour = std::function<void(ScriptedConnection&, const std::string& head)>;

class ScriptedServer {
 public:
  struct Options {
    // Present: TLS.
    const TestIdentity* identity = nullptr;
    // Clients must show a certificate that this one signed.
    const TestIdentity* client_ca = nullptr;
    int tls_min = 0, tls_max = 0;  // as OpenSSL's; 0 = any
    std::vector<std::string> alpn;
    // Before TLS, before a byte is read: all connections behave so.
    ScriptedBehaviour on_accept;
    // After TLS, before a byte is read: for protocols other than HTTP/1.
    ScriptedBehaviour on_connect;
    bool ipv6 = false;
    // 0 = any free port.
    uint16_t port = 0;
  };

  static std::unique_ptr<ScriptedServer> Start(Options options);
  static std::unique_ptr<ScriptedServer> Start() { return Start(Options()); }
  // Ends all connections.
  ~ScriptedServer();

  uint16_t port() const { return port_; }
  // "http://127.0.0.1:port/path", or https.
  std::string Url(absl::string_view path) const;

  // Adds or replaces a behaviour; before that path is asked for.
  void On(const std::string& path, ScriptedBehaviour behaviour);

  int connections() const { return connections_.load(); }
  // Heads of the requests seen, in order.
  std::vector<std::string> requests() const;

 private:
  ScriptedServer(Options options, int listen_fd, int stop_fd, uint16_t port);
  void Accept();
  void Serve(int fd);
  void ServeRequests(ScriptedConnection* connection);
  SSL* Handshake(int fd);

  const Options options_;
  const int listen_fd_;
  const int stop_fd_;
  const uint16_t port_;
  SSL_CTX* ssl_ctx_ = nullptr;
  std::atomic<int> connections_{0};
  std::thread acceptor_;

  mutable Mutex mu_;
  std::map<std::string, ScriptedBehaviour> behaviours_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
};

// The behaviours every server knows (tests/support/scripted_behaviours.cc).
std::map<std::string, ScriptedBehaviour> HostileBehaviours();

// A listening socket whose queue is full: connections to it are never answered.
class BlackHole {
 public:
  explicit BlackHole(bool ipv6, uint16_t port = 0);
  ~BlackHole();
  uint16_t port() const { return port_; }

 private:
  int listen_fd_;
  std::vector<int> fillers_;
  uint16_t port_ = 0;
};

// A port on which nobody listens, now.
uint16_t UnusedPort();

}  // namespace picket

#endif  // TESTS_SUPPORT_SCRIPTED_SERVER_H_
