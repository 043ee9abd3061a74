// A server that knows how long it made a client wait: it answers after the delay its URL names and
// says in a header what the delay really was, from the arrival of the request's last byte, by the
// kernel's clock, to the first byte of the response written.
//
//   truth_server PORT [CERTIFICATE KEY]      (0 = any; prints "port N")
//   GET /50?...     waits 50 ms; answers X-Delay-Us: <measured>
//   GET /0.2?...    waits 200 us
//   GET /waiting    answers at once with how many requests wait
//
// One thread, epoll, a timer heap. Loopback only.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

int64_t ReadUs(clockid_t clock) {
  timespec ts;
  clock_gettime(clock, &ts);
  return ts.tv_sec * 1'000'000LL + ts.tv_nsec / 1000;
}

int64_t NowUs() { return ReadUs(CLOCK_MONOTONIC); }

struct Connection {
  std::string in;
  int64_t generation = 0;
  bool close_after = false;
  SSL* ssl = nullptr;
};

struct Due {
  int64_t at, asked;
  int fd;
  int64_t generation;
  bool operator>(const Due& other) const { return at > other.at; }
};

class Server {
 public:
  explicit Server(int port) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int one = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener_, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);  // the accepted inherit it
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener_, 4096) != 0) {
      std::perror("truth_server");
      std::exit(1);
    }
    socklen_t length = sizeof address;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    std::printf("port %d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    Watch(listener_);
    Watch(timer_);
  }

  void UseTls(const char* certificate, const char* key) {
    tls_ = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(tls_, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls_, key, SSL_FILETYPE_PEM) != 1) {
      std::fprintf(stderr, "truth_server: the certificate or key cannot be used\n");
      std::exit(1);
    }
    SSL_CTX_set_mode(tls_, SSL_MODE_RELEASE_BUFFERS);
  }

  void Run() {
    std::vector<epoll_event> events(512);
    while (true) {
      const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < n; ++i) {
        const int fd = events[i].data.fd;
        if (fd == listener_) {
          Accept();
        } else if (fd == timer_) {
          uint64_t ignored;
          while (read(timer_, &ignored, sizeof ignored) > 0) {
          }
        } else {
          Read(fd);
        }
      }
      Answer();
    }
  }

 private:
  void Watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void Accept() {
    while (true) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int one = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      Connection& connection = connections_[fd];
      connection = Connection{.generation = ++generation_};
      if (tls_ != nullptr) {
        connection.ssl = SSL_new(tls_);
        SSL_set_fd(connection.ssl, fd);
        SSL_set_accept_state(connection.ssl);
      }
      Watch(fd);
    }
  }

  void Close(int fd) {
    const auto found = connections_.find(fd);
    if (found->second.ssl != nullptr) SSL_free(found->second.ssl);
    connections_.erase(found);
    close(fd);
  }

  // Bytes read and when they came; 0 = nothing now, below 0 = the end.
  ssize_t Take(int fd, const Connection& connection, char* buffer, size_t size, int64_t& came) {
    const ssize_t waiting = Receive(fd, buffer, size, connection.ssl != nullptr ? MSG_PEEK : 0, came);
    if (connection.ssl == nullptr) {
      if (waiting < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
      return waiting == 0 ? -1 : waiting;
    }
    const int got = SSL_read(connection.ssl, buffer, static_cast<int>(size));
    if (got > 0) return got;
    const int error = SSL_get_error(connection.ssl, got);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
  }

  // As recv; `came` is when the last of it reached the machine.
  static ssize_t Receive(int fd, char* buffer, size_t size, int flags, int64_t& came) {
    iovec room{buffer, size};
    alignas(cmsghdr) char control[128];
    msghdr message{};
    message.msg_iov = &room;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = recvmsg(fd, &message, flags);
    came = NowUs();
    if (got <= 0) return got;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
      timespec stamp;
      std::memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
      came -= ReadUs(CLOCK_REALTIME) - (stamp.tv_sec * 1'000'000LL + stamp.tv_nsec / 1000);
    }
    return got;
  }

  void Read(int fd) {
    if (connections_.find(fd) == connections_.end()) return;
    Connection& connection = connections_[fd];
    char buffer[4096];
    int64_t came = 0;
    const ssize_t n = Take(fd, connection, buffer, sizeof buffer, came);
    if (n < 0) Close(fd);
    if (n <= 0) return;
    connection.in.append(buffer, static_cast<size_t>(n));
    const size_t end = connection.in.find("\r\n\r\n");
    if (end == std::string::npos) return;
    const size_t path = connection.in.find('/');
    const bool count = connection.in.compare(path, 8, "/waiting") == 0;
    const int64_t delay =
        static_cast<int64_t>(std::strtod(connection.in.c_str() + path + 1, nullptr) * 1000);
    connection.close_after = connection.in.find("onnection: close") != std::string::npos;
    connection.in.erase(0, end + 4);
    if (count) return Respond(fd, connection, 0, std::to_string(due_.size()));
    due_.push({came + delay, came, fd, connection.generation});
  }

  void Respond(int fd, const Connection& connection, int64_t asked, const std::string& body) {
    char answer[512];
    const int64_t delay = asked == 0 ? 0 : NowUs() - asked;
    const int length =
        std::snprintf(answer, sizeof answer,
                      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                      "X-Delay-Us: %lld\r\n%s\r\n%s",
                      body.size(), static_cast<long long>(delay),
                      connection.close_after ? "Connection: close\r\n" : "", body.c_str());
    const ssize_t sent = connection.ssl != nullptr
                             ? SSL_write(connection.ssl, answer, length)
                             : write(fd, answer, static_cast<size_t>(length));
    if (connection.ssl != nullptr && connection.close_after) SSL_shutdown(connection.ssl);
    if (sent <= 0 || connection.close_after) Close(fd);
  }

  void Answer() {
    const int64_t now = NowUs();
    while (!due_.empty() && due_.top().at <= now) {
      const Due due = due_.top();
      due_.pop();
      const auto it = connections_.find(due.fd);
      if (it == connections_.end() || it->second.generation != due.generation) continue;
      Respond(due.fd, it->second, due.asked, "truth");
    }
    itimerspec spec{};
    if (!due_.empty()) {
      const int64_t wait = std::max<int64_t>(1, due_.top().at - NowUs());
      spec.it_value.tv_sec = wait / 1'000'000;
      spec.it_value.tv_nsec = wait % 1'000'000 * 1000;
    }
    timerfd_settime(timer_, 0, &spec, nullptr);
  }

  int listener_, epoll_, timer_;
  SSL_CTX* tls_ = nullptr;
  int64_t generation_ = 0;
  std::unordered_map<int, Connection> connections_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  Server server(argc > 1 ? std::atoi(argv[1]) : 0);
  if (argc > 3) server.UseTls(argv[2], argv[3]);
  server.Run();
}
