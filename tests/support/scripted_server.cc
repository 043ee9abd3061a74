#include "tests/support/scripted_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/clock.h"

namespace picket {
namespace {

int Milliseconds(absl::Duration duration) {
  return duration == absl::InfiniteDuration()
             ? -1
             : static_cast<int>(absl::ToInt64Milliseconds(duration));
}

socklen_t Loopback(bool ipv6, uint16_t port, sockaddr_storage* out) {
  *out = {};
  if (ipv6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(out);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    v6->sin6_addr = in6addr_loopback;
    return sizeof(sockaddr_in6);
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(out);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(port);
  v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return sizeof(sockaddr_in);
}

int Listen(bool ipv6, uint16_t port, int backlog, uint16_t* bound) {
  const int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  PICKET_CHECK(fd >= 0);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  sockaddr_storage at;
  socklen_t length = Loopback(ipv6, port, &at);
  PICKET_CHECK(bind(fd, reinterpret_cast<sockaddr*>(&at), length) == 0);
  PICKET_CHECK(listen(fd, backlog) == 0);
  length = sizeof(at);
  getsockname(fd, reinterpret_cast<sockaddr*>(&at), &length);
  *bound = ntohs(ipv6 ? reinterpret_cast<sockaddr_in6*>(&at)->sin6_port
                      : reinterpret_cast<sockaddr_in*>(&at)->sin_port);
  return fd;
}

void UseIdentity(SSL_CTX* ctx, const TestIdentity& identity) {
  BIO* bio = BIO_new_mem_buf(identity.certificate.data(), -1);
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  SSL_CTX_use_certificate(ctx, certificate);
  while (X509* next = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
    SSL_CTX_add_extra_chain_cert(ctx, next);
  }
  ERR_clear_error();
  X509_free(certificate);
  BIO_free(bio);
  bio = BIO_new_mem_buf(identity.key.data(), -1);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  PICKET_CHECK(SSL_CTX_use_PrivateKey(ctx, key) == 1);
  EVP_PKEY_free(key);
  BIO_free(bio);
}

void WantClientCertificate(SSL_CTX* ctx, const TestIdentity& ca) {
  BIO* bio = BIO_new_mem_buf(ca.certificate.data(), -1);
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), certificate);
  X509_free(certificate);
  BIO_free(bio);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

int ChooseAlpn(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
               unsigned int in_length, void* wanted) {
  for (const std::string& name : *static_cast<const std::vector<std::string>*>(wanted)) {
    for (unsigned int i = 0; i < in_length && i + in[i] < in_length; i += in[i] + 1u) {
      if (absl::string_view(reinterpret_cast<const char*>(in + i + 1), in[i]) != name) continue;
      *out = in + i + 1;
      *out_length = in[i];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

ScriptedConnection::~ScriptedConnection() {
  if (ssl_ != nullptr) {
    if (fd_ >= 0) SSL_shutdown(ssl_);
    SSL_free(ssl_);
  }
  if (fd_ >= 0) close(fd_);
}

bool ScriptedConnection::Await(short events, absl::Duration timeout) {
  if (fd_ < 0) return false;
  pollfd fds[2] = {{fd_, events, 0}, {stop_fd_, POLLIN, 0}};
  const int ready = poll(fds, 2, Milliseconds(timeout));
  return ready > 0 && fds[1].revents == 0;
}

int ScriptedConnection::ReadSome(char* data, size_t size) {
  while (fd_ >= 0) {
    if (ssl_ != nullptr) {
      const int got = SSL_read(ssl_, data, static_cast<int>(size));
      if (got > 0) return got;
      const int error = SSL_get_error(ssl_, got);
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return 0;
      if (!Await(error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, absl::InfiniteDuration()))
        return 0;
      continue;
    }
    const ssize_t got = recv(fd_, data, size, 0);
    if (got > 0) return static_cast<int>(got);
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) return 0;
    if (!Await(POLLIN, absl::InfiniteDuration())) return 0;
  }
  return 0;
}

std::string ScriptedConnection::ReadHead() {
  while (true) {
    const size_t end = buffered_.find("\r\n\r\n");
    if (end != std::string::npos) {
      std::string head = buffered_.substr(0, end + 4);
      buffered_.erase(0, end + 4);
      return head;
    }
    char data[4096];
    const int got = ReadSome(data, sizeof(data));
    if (got <= 0) return "";
    buffered_.append(data, static_cast<size_t>(got));
  }
}

std::string ScriptedConnection::ReadBytes(size_t size) {
  char data[4096];
  while (buffered_.size() < size) {
    const int got = ReadSome(data, sizeof(data));
    if (got <= 0) break;
    buffered_.append(data, static_cast<size_t>(got));
  }
  std::string bytes = buffered_.substr(0, size);
  buffered_.erase(0, bytes.size());
  return bytes;
}

bool ScriptedConnection::Write(absl::string_view data) {
  while (!data.empty() && fd_ >= 0) {
    if (ssl_ != nullptr) {
      const int put = SSL_write(ssl_, data.data(), static_cast<int>(data.size()));
      if (put > 0) {
        data.remove_prefix(static_cast<size_t>(put));
        continue;
      }
      const int error = SSL_get_error(ssl_, put);
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return false;
      if (!Await(error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, absl::InfiniteDuration()))
        return false;
      continue;
    }
    const ssize_t put = send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
    if (put > 0) {
      data.remove_prefix(static_cast<size_t>(put));
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) return false;
    if (!Await(POLLOUT, absl::InfiniteDuration())) return false;
  }
  return fd_ >= 0;
}

bool ScriptedConnection::WriteRepeatedly(absl::string_view data, size_t times) {
  for (size_t i = 0; i < times; ++i) {
    if (!Write(data)) return false;
  }
  return true;
}

bool ScriptedConnection::Drip(absl::string_view data, absl::Duration pause) {
  for (const char c : data) {
    if (!Write(absl::string_view(&c, 1)) || !Pause(pause)) return false;
  }
  return true;
}

void ScriptedConnection::WaitForClient() { Await(POLLIN | POLLRDHUP, absl::InfiniteDuration()); }

bool ScriptedConnection::Pause(absl::Duration pause) {
  pollfd stop{stop_fd_, POLLIN, 0};
  const absl::Duration end = Clock::Real()->Monotonic() + pause;
  while (true) {
    const absl::Duration left = end - Clock::Real()->Monotonic();
    if (left <= absl::ZeroDuration()) return true;
    if (poll(&stop, 1, Milliseconds(absl::Ceil(left, absl::Milliseconds(1)))) > 0) return false;
  }
}

void ScriptedConnection::Reset() {
  const linger hard{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
  Close();
}

void ScriptedConnection::HalfClose() { shutdown(fd_, SHUT_WR); }

void ScriptedConnection::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void ScriptedConnection::Relay(int other) {
  std::string first = std::exchange(buffered_, {});
  if (!first.empty()) send(other, first.data(), first.size(), MSG_NOSIGNAL);
  while (true) {
    pollfd fds[3] = {{fd_, POLLIN, 0}, {other, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    if (poll(fds, 3, -1) <= 0 || fds[2].revents != 0) return;
    char data[16384];
    for (int i = 0; i < 2; ++i) {
      if (fds[i].revents == 0) continue;
      const ssize_t got = recv(fds[i].fd, data, sizeof(data), MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno != EAGAIN)) return;
      for (ssize_t put = 0; put < got;) {
        const ssize_t more =
            send(fds[1 - i].fd, data + put, static_cast<size_t>(got - put), MSG_NOSIGNAL);
        if (more < 0 && errno == EAGAIN) {
          pollfd room{fds[1 - i].fd, POLLOUT, 0};
          poll(&room, 1, 1000);
          continue;
        }
        if (more <= 0) return;
        put += more;
      }
    }
  }
}

std::unique_ptr<ScriptedServer> ScriptedServer::Start(Options options) {
  signal(SIGPIPE, SIG_IGN);
  uint16_t port = 0;
  const int fd = Listen(options.ipv6, options.port, 512, &port);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  const int stop_fd = eventfd(0, EFD_CLOEXEC);
  PICKET_CHECK(stop_fd >= 0);
  return std::unique_ptr<ScriptedServer>(new ScriptedServer(std::move(options), fd, stop_fd, port));
}

ScriptedServer::ScriptedServer(Options options, int listen_fd, int stop_fd, uint16_t port)
    : options_(std::move(options)), listen_fd_(listen_fd), stop_fd_(stop_fd), port_(port) {
  behaviours_ = HostileBehaviours();
  if (options_.identity != nullptr) {
    ssl_ctx_ = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_security_level(ssl_ctx_, 0);
    SSL_CTX_set_cipher_list(ssl_ctx_, "DEFAULT:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(ssl_ctx_,
                                  options_.tls_min == 0 ? TLS1_VERSION : options_.tls_min);
    SSL_CTX_set_max_proto_version(ssl_ctx_, options_.tls_max);
    UseIdentity(ssl_ctx_, *options_.identity);
    if (options_.client_ca != nullptr) WantClientCertificate(ssl_ctx_, *options_.client_ca);
    if (!options_.alpn.empty()) {
      SSL_CTX_set_alpn_select_cb(ssl_ctx_, ChooseAlpn,
                                 const_cast<std::vector<std::string>*>(&options_.alpn));
    }
  }
  acceptor_ = std::thread([this] { Accept(); });
}

ScriptedServer::~ScriptedServer() {
  const uint64_t one = 1;
  (void)!write(stop_fd_, &one, sizeof(one));
  acceptor_.join();
  std::vector<std::thread> threads;
  {
    MutexLock lock(&mu_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
  if (ssl_ctx_ != nullptr) SSL_CTX_free(ssl_ctx_);
  close(listen_fd_);
  close(stop_fd_);
}

std::string ScriptedServer::Url(absl::string_view path) const {
  return absl::StrCat(options_.identity == nullptr ? "http" : "https", "://",
                      options_.ipv6 ? "[::1]" : "127.0.0.1", ":", port_, path);
}

void ScriptedServer::On(const std::string& path, ScriptedBehaviour behaviour) {
  MutexLock lock(&mu_);
  behaviours_[path] = std::move(behaviour);
}

std::vector<std::string> ScriptedServer::requests() const {
  MutexLock lock(&mu_);
  return requests_;
}

void ScriptedServer::Accept() {
  while (true) {
    pollfd fds[2] = {{listen_fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
    if (fds[1].revents != 0) return;
    const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) continue;
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    ++connections_;
    MutexLock lock(&mu_);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

SSL* ScriptedServer::Handshake(int fd) {
  SSL* ssl = SSL_new(ssl_ctx_);
  SSL_set_fd(ssl, fd);
  SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  while (true) {
    const int done = SSL_accept(ssl);
    if (done == 1) return ssl;
    const int error = SSL_get_error(ssl, done);
    pollfd fds[2] = {{fd, static_cast<short>(error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN), 0},
                     {stop_fd_, POLLIN, 0}};
    if ((error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) || poll(fds, 2, -1) <= 0 ||
        fds[1].revents != 0) {
      SSL_free(ssl);
      return nullptr;
    }
  }
}

void ScriptedServer::Serve(int fd) {
  if (options_.on_accept) {
    ScriptedConnection connection(fd, nullptr, stop_fd_);
    options_.on_accept(connection, "");
    return;
  }
  SSL* ssl = nullptr;
  if (ssl_ctx_ != nullptr) {
    ssl = Handshake(fd);
    if (ssl == nullptr) {
      close(fd);
      return;
    }
  }
  ScriptedConnection connection(fd, ssl, stop_fd_);
  if (options_.on_connect) {
    options_.on_connect(connection, "");
  } else {
    ServeRequests(&connection);
  }
}

void ScriptedServer::ServeRequests(ScriptedConnection* connection) {
  while (true) {
    const std::string head = connection->ReadHead();
    if (head.empty()) return;
    const size_t start = head.find(' ') + 1;
    const std::string target = head.substr(start, head.find(' ', start) - start);
    std::string path = target.substr(0, target.find('?'));
    if (absl::StartsWith(path, "http://")) path = path.substr(path.find('/', 7));  // to a proxy
    ScriptedBehaviour behaviour;
    {
      MutexLock lock(&mu_);
      requests_.push_back(head);
      const auto found = behaviours_.find(path);
      if (found != behaviours_.end()) behaviour = found->second;
    }
    if (!behaviour) {
      connection->Write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
    behaviour(*connection, head);
    const bool keep = !absl::StrContains(head, "Connection: close") && path.substr(0, 5) == "/keep";
    if (!keep) return;
  }
}

BlackHole::BlackHole(bool ipv6, uint16_t port) {
  listen_fd_ = Listen(ipv6, port, 0, &port_);
  // A queue of length 0 holds one connection; from then on SYNs are dropped.
  for (int i = 0; i < 4; ++i) {
    const int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_storage to;
    const socklen_t length = Loopback(ipv6, port_, &to);
    (void)connect(fd, reinterpret_cast<sockaddr*>(&to), length);
    fillers_.push_back(fd);
  }
}

BlackHole::~BlackHole() {
  for (const int fd : fillers_) close(fd);
  close(listen_fd_);
}

uint16_t UnusedPort() {
  uint16_t port = 0;
  const int fd = Listen(false, 0, 1, &port);
  close(fd);
  return port;
}

}  // namespace picket
