#include "tests/support/scripted_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace picket {
namespace {

int Dial(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0) return fd;
  close(fd);
  return -1;
}

uint16_t PortOf(absl::string_view authority) {
  uint32_t port = 0;
  (void)absl::SimpleAtoi(authority.substr(authority.rfind(':') + 1), &port);
  return static_cast<uint16_t>(port);
}

void Forward(ScriptedConnection& c, int fd, absl::string_view first, absl::string_view answer) {
  if (fd < 0) return;
  (void)!write(fd, first.data(), first.size());
  c.Write(answer);
  c.Relay(fd);
  close(fd);
}

}  // namespace

void ProxyLog::Add(std::string entry) {
  MutexLock lock(&mu_);
  entries_.push_back(std::move(entry));
}

std::vector<std::string> ProxyLog::entries() const {
  MutexLock lock(&mu_);
  return entries_;
}

ScriptedBehaviour HttpProxy(std::shared_ptr<ProxyLog> log, std::string credentials) {
  return [log = std::move(log), credentials = std::move(credentials)](ScriptedConnection& c,
                                                                      const std::string&) {
    const std::string head = c.ReadHead();
    if (head.empty()) return;
    const std::string line = head.substr(0, head.find('\r'));
    log->Add(line);
    if (!credentials.empty() &&
        !absl::StrContains(
            head, absl::StrCat("Proxy-Authorization: Basic ", absl::Base64Escape(credentials)))) {
      c.Write(
          "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n"
          "Proxy-Authenticate: Basic realm=\"x\"\r\nConnection: close\r\n\r\n");
      return;
    }
    const std::string target =
        line.substr(line.find(' ') + 1, line.rfind(' ') - line.find(' ') - 1);
    if (absl::StartsWith(line, "CONNECT ")) {
      const int fd = Dial(PortOf(target));
      if (fd < 0) c.Write("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
      Forward(c, fd, "", "HTTP/1.1 200 Connection established\r\n\r\n");
      return;
    }
    const size_t start = target.find("//") + 2;
    Forward(c, Dial(PortOf(target.substr(start, target.find('/', start) - start))), head, "");
  };
}

ScriptedBehaviour Socks5Proxy(std::shared_ptr<ProxyLog> log, std::string credentials) {
  return [log = std::move(log), credentials = std::move(credentials)](ScriptedConnection& c,
                                                                      const std::string&) {
    const std::string greeting = c.ReadBytes(2);
    if (greeting.size() != 2) return;
    c.ReadBytes(static_cast<uint8_t>(greeting[1]));
    if (credentials.empty()) {
      c.Write(absl::string_view("\x05\x00", 2));
    } else {
      c.Write("\x05\x02");
      const std::string user = c.ReadBytes(static_cast<uint8_t>(c.ReadBytes(2)[1]));
      const std::string password = c.ReadBytes(static_cast<uint8_t>(c.ReadBytes(1)[0]));
      const bool right = absl::StrCat(user, ":", password) == credentials;
      c.Write(absl::string_view(right ? "\x01\x00" : "\x01\x01", 2));
      if (!right) return;
    }
    const std::string request = c.ReadBytes(4);
    if (request.size() != 4) return;
    std::string host;
    if (request[3] == 3) {
      host = c.ReadBytes(static_cast<uint8_t>(c.ReadBytes(1)[0]));
    } else {
      host =
          absl::StrCat("address:", absl::BytesToHexString(c.ReadBytes(request[3] == 1 ? 4 : 16)));
    }
    const std::string port = c.ReadBytes(2);
    const auto number =
        static_cast<uint16_t>((static_cast<uint8_t>(port[0]) << 8) | static_cast<uint8_t>(port[1]));
    log->Add(absl::StrCat(host, ":", number));
    const int fd = Dial(number);
    if (fd < 0) c.Write(absl::string_view("\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", 10));
    Forward(c, fd, "", absl::string_view("\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", 10));
  };
}

}  // namespace picket
