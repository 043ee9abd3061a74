// A server that knows how long it made a client wait: it answers after the delay its URL names and
// says in a header what the delay really was, from the last byte of the request's header read to the
// first byte of the response written.
//
//   truth_server PORT      (0 = any; prints "port N")
//   GET /50?...            waits 50 ms; answers X-Delay-Us: <measured>
//   GET /0.2?...           waits 200 us
//
// One thread, epoll, a timer heap. Loopback only.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

int64_t NowUs() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * 1'000'000LL + ts.tv_nsec / 1000;
}

struct Connection {
  std::string in;
  int64_t generation = 0;
  bool close_after = false;
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
      connections_[fd] = Connection{.generation = ++generation_};
      Watch(fd);
    }
  }

  void Read(int fd) {
    Connection& connection = connections_[fd];
    char buffer[4096];
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) {
      close(fd);
      connections_.erase(fd);
      return;
    }
    connection.in.append(buffer, static_cast<size_t>(n));
    const size_t end = connection.in.find("\r\n\r\n");
    if (end == std::string::npos) return;
    const int64_t now = NowUs();
    const size_t path = connection.in.find('/');
    const int64_t delay =
        static_cast<int64_t>(std::strtod(connection.in.c_str() + path + 1, nullptr) * 1000);
    connection.close_after = connection.in.find("onnection: close") != std::string::npos;
    connection.in.erase(0, end + 4);
    due_.push({now + delay, now, fd, connection.generation});
  }

  void Answer() {
    const int64_t now = NowUs();
    while (!due_.empty() && due_.top().at <= now) {
      const Due due = due_.top();
      due_.pop();
      const auto it = connections_.find(due.fd);
      if (it == connections_.end() || it->second.generation != due.generation) continue;
      char answer[256];
      const int length =
          std::snprintf(answer, sizeof answer,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
                        "X-Delay-Us: %lld\r\n%s\r\ntruth",
                        static_cast<long long>(NowUs() - due.asked),
                        it->second.close_after ? "Connection: close\r\n" : "");
      if (write(due.fd, answer, static_cast<size_t>(length)) < 0 || it->second.close_after) {
        close(due.fd);
        connections_.erase(it);
      }
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
  int64_t generation_ = 0;
  std::unordered_map<int, Connection> connections_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

}  // namespace

int main(int argc, char** argv) {
  Server server(argc > 1 ? std::atoi(argv[1]) : 0);
  server.Run();
}
