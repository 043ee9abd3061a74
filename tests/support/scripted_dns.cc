#include "tests/support/scripted_dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"

namespace picket {
namespace {

const char kV4[] = {127, 0, 0, 1};
const std::string kV6 = std::string(15, '\0') + '\1';

std::string V4() { return std::string(kV4, 4); }

std::string Number16(int number) {
  return {static_cast<char>(number >> 8), static_cast<char>(number & 0xff)};
}

std::string WireName(const std::string& name) {
  std::string wire;
  for (const absl::string_view label : absl::StrSplit(name, '.', absl::SkipEmpty())) {
    wire.push_back(static_cast<char>(label.size()));
    absl::StrAppend(&wire, label);
  }
  wire.push_back('\0');
  return wire;
}

bool ParseQuestion(const std::string& packet, DnsQuestion* question) {
  if (packet.size() < 17) return false;
  size_t at = 12;
  std::string name;
  while (at < packet.size() && packet[at] != '\0') {
    const size_t length = static_cast<unsigned char>(packet[at]);
    if (at + 1 + length >= packet.size()) return false;
    if (!name.empty()) name.push_back('.');
    name += packet.substr(at + 1, length);
    at += 1 + length;
  }
  if (at + 5 > packet.size()) return false;
  question->packet = packet.substr(0, at + 5);
  question->name = absl::AsciiStrToLower(name);
  question->type = static_cast<uint16_t>((static_cast<unsigned char>(packet[at + 1]) << 8) |
                                         static_cast<unsigned char>(packet[at + 2]));
  return true;
}

std::string Header(const DnsQuestion& question, int code, int answers, bool cut = false) {
  std::string out = question.packet.substr(0, 2);
  out.push_back(static_cast<char>(cut ? 0x87 : 0x85));  // response, authoritative, RD
  out.push_back(static_cast<char>(0x80 | code));
  absl::StrAppend(&out, Number16(1), Number16(answers), Number16(0), Number16(0));
  return out + question.packet.substr(12);
}

std::string Record(const std::string& owner, int type, const std::string& data) {
  return absl::StrCat(owner, Number16(type), Number16(1), Number16(0), Number16(60),
                      Number16(static_cast<int>(data.size())), data);
}

std::map<std::string, DnsBehaviour> Behaviours() {
  std::map<std::string, DnsBehaviour> all;
  all["ok.test"] = [](const DnsQuestion& q) {
    return q.type == 1 ? DnsAddresses(q, {V4()}) : DnsCode(q, 0);
  };
  all["both.test"] = [](const DnsQuestion& q) {
    return DnsAddresses(q, {q.type == 1 ? V4() : kV6});
  };
  all["six.test"] = [](const DnsQuestion& q) {
    return q.type == 28 ? DnsAddresses(q, {kV6}) : DnsCode(q, 0);
  };
  all["missing.test"] = [](const DnsQuestion& q) { return DnsCode(q, 3); };
  all["nothing.test"] = [](const DnsQuestion& q) { return DnsCode(q, 0); };
  all["servfail.test"] = [](const DnsQuestion& q) { return DnsCode(q, 2); };
  all["refused.test"] = [](const DnsQuestion& q) { return DnsCode(q, 5); };
  all["silent.test"] = [](const DnsQuestion&) { return std::string(); };
  // AAAA is never answered, as behind some load balancers.
  all["half.test"] = [](const DnsQuestion& q) {
    return q.type == 1 ? DnsAddresses(q, {V4()}) : std::string();
  };
  all["cut.test"] = [](const DnsQuestion& q) { return Header(q, 0, 0, true); };
  all["short.test"] = [](const DnsQuestion& q) {
    return Header(q, 0, 3) + "\xc0\x0c" + Number16(q.type);
  };
  all["wrong-size.test"] = [](const DnsQuestion& q) {
    return Header(q, 0, 1) + Record("\xc0\x0c", q.type, "abc");
  };
  all["pointer-loop.test"] = [](const DnsQuestion& q) {
    std::string answer = Header(q, 0, 1);
    const int at = static_cast<int>(answer.size());
    return answer + Record({static_cast<char>(0xc0 | (at >> 8)), static_cast<char>(at & 0xff)},
                           q.type, V4());
  };
  all["circle.test"] = [](const DnsQuestion& q) {
    return DnsAliases(q, {{"circle.test", "a.test"}, {"a.test", "circle.test"}}, {});
  };
  all["alias.test"] = [](const DnsQuestion& q) {
    if (q.type != 1) return DnsAliases(q, {{"alias.test", "a.test"}}, {});
    return DnsAliases(q, {{"alias.test", "a.test"}, {"a.test", "b.test"}}, {{"b.test", V4()}});
  };
  all["dangling.test"] = [](const DnsQuestion& q) {
    return DnsAliases(q, {{"dangling.test", "gone.test"}}, {});
  };
  // An address for a name that nobody asked for.
  all["liar.test"] = [](const DnsQuestion& q) {
    return q.type == 1 ? DnsAliases(q, {}, {{"other.test", V4()}}) : DnsCode(q, 0);
  };
  return all;
}

}  // namespace

std::string DnsAddresses(const DnsQuestion& question, const std::vector<std::string>& data) {
  std::string out = Header(question, 0, static_cast<int>(data.size()));
  for (const std::string& one : data) out += Record("\xc0\x0c", question.type, one);
  return out;
}

std::string DnsCode(const DnsQuestion& question, int code) { return Header(question, code, 0); }

std::string DnsAliases(const DnsQuestion& question,
                       const std::vector<std::pair<std::string, std::string>>& aliases,
                       const std::vector<std::pair<std::string, std::string>>& addresses) {
  std::string out = Header(question, 0, static_cast<int>(aliases.size() + addresses.size()));
  for (const auto& [owner, target] : aliases) out += Record(WireName(owner), 5, WireName(target));
  for (const auto& [owner, data] : addresses) out += Record(WireName(owner), question.type, data);
  return out;
}

ScriptedDns::ScriptedDns() : behaviours_(Behaviours()) {
  fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  PICKET_CHECK(bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0);
  socklen_t length = sizeof(at);
  getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &length);
  port_ = ntohs(at.sin_port);
  stop_fd_ = eventfd(0, EFD_CLOEXEC);
  PICKET_CHECK(stop_fd_ >= 0);
  thread_ = std::thread([this] { Serve(); });
}

ScriptedDns::~ScriptedDns() {
  const uint64_t one = 1;
  (void)!write(stop_fd_, &one, sizeof(one));
  thread_.join();
  close(fd_);
  close(stop_fd_);
}

std::string ScriptedDns::address() const { return absl::StrCat("127.0.0.1:", port_); }

void ScriptedDns::On(const std::string& name, DnsBehaviour behaviour) {
  MutexLock lock(&mu_);
  behaviours_[name] = std::move(behaviour);
}

std::vector<std::string> ScriptedDns::questions() const {
  MutexLock lock(&mu_);
  return questions_;
}

void ScriptedDns::Serve() {
  while (true) {
    pollfd fds[2] = {{fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    if (poll(fds, 2, -1) <= 0) continue;
    if (fds[1].revents != 0) return;
    char data[1500];
    sockaddr_in from{};
    socklen_t length = sizeof(from);
    const ssize_t got = recvfrom(fd_, data, sizeof(data), MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&from), &length);
    DnsQuestion question;
    if (got <= 0 || !ParseQuestion(std::string(data, static_cast<size_t>(got)), &question))
      continue;
    DnsBehaviour behaviour;
    {
      MutexLock lock(&mu_);
      questions_.push_back(absl::StrCat(question.name, "/", question.type));
      const auto found = behaviours_.find(question.name);
      if (found != behaviours_.end()) behaviour = found->second;
    }
    const std::string answer = behaviour ? behaviour(question) : DnsCode(question, 3);
    if (answer.empty()) continue;
    sendto(fd_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
  }
}

}  // namespace picket
