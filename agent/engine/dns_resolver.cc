#include "agent/engine/dns_resolver.h"

#include <arpa/nameser.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/engine/limits.h"
#include "agent/engine/transfer_connect.h"

namespace picket {
namespace {

using Reason = v1::FailureReason;

constexpr int kReceiveBufferBytes = 1 << 20;  // answers to a burst of questions
constexpr int kFirstTimeoutMs = 1000;         // doubled with each try
constexpr int kTries = 4;
constexpr size_t kHeaderBytes = 12;
constexpr unsigned char kTruncated = 0x02;  // in the third byte
constexpr unsigned char kFormatError = 1;   // low half of the fourth

// Whether resolv.conf(5) says how long to wait.
bool SetsTimeout(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (absl::StartsWith(line, "options") &&
        (absl::StrContains(line, "timeout:") || absl::StrContains(line, "attempts:"))) {
      return true;
    }
  }
  return false;
}

absl::Status InitAres() {
  static const int status = ares_library_init(ARES_LIB_INIT_ALL);
  if (status == ARES_SUCCESS) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot start c-ares: ", ares_strerror(status)));
}

// `socket_error` is why no socket could be had to ask with, if so.
DnsAnswer AnswerOf(int status, absl::string_view data, bool v6, int socket_error) {
  DnsAnswer answer;
  if (socket_error != 0 && (status == ARES_ECONNREFUSED || status == ARES_ETIMEOUT)) {
    answer.reason = Reason::agent_resources;
    answer.problem = absl::StrCat("the agent has no socket to ask with (", strerror(socket_error),
                                  ")");
    return answer;
  }
  switch (status) {
    case ARES_SUCCESS:
      return ParseDnsAnswer(data, v6);
    case ARES_ENODATA:
      answer.reason = Reason::dns_no_address;
      break;
    case ARES_ENOTFOUND:
      answer.reason = Reason::dns_not_found;
      break;
    case ARES_ETIMEOUT:
      answer.reason = Reason::dns_timeout;
      break;
    case ARES_EBADNAME:
      answer.reason = Reason::dns_not_found;
      answer.problem = "it is not a name that DNS can hold";
      break;
    case ARES_ENOMEM:
      answer.reason = Reason::agent_resources;
      answer.problem = "the agent is out of memory";
      break;
    default:
      answer.reason = Reason::dns_server_failure;
      answer.problem = ares_strerror(status);
  }
  return answer;
}

// Did the answer not fit a datagram?
bool IsTruncated(absl::string_view message) {
  return message.size() >= kHeaderBytes &&
         (static_cast<unsigned char>(message[2]) & kTruncated) != 0;
}

// Of the reasons of both families, the one that says most about the name.
int Weight(Reason::Value reason) {
  switch (reason) {
    case Reason::agent_resources:
      return 5;
    case Reason::dns_not_found:
      return 4;
    case Reason::dns_server_failure:
      return 3;
    case Reason::dns_timeout:
      return 2;
    default:
      return 1;
  }
}

const char* FamilyText(v1::HttpCheck::IpVersion family) {
  if (family == v1::HttpCheck::IPV4) return " IPv4";
  if (family == v1::HttpCheck::IPV6) return " IPv6";
  return "";
}

std::string FailureText(const std::string& name, v1::HttpCheck::IpVersion family,
                        const DnsAnswer& answer) {
  const std::string because = answer.problem.empty() ? "" : absl::StrCat(": ", answer.problem);
  switch (answer.reason) {
    case Reason::dns_not_found:
      return absl::StrCat("The name ", name, " does not exist in DNS", because, ".");
    case Reason::dns_timeout:
      return absl::StrCat("No DNS server answered for ", name, ".");
    case Reason::dns_no_address:
      return absl::StrCat("The name ", name, " has no", FamilyText(family), " address in DNS.");
    default:
      return absl::StrCat("DNS could not answer for ", name, because, ".");
  }
}

}  // namespace

// Owned by c-ares until it is answered; a cancelled lookup leaves it behind.
struct DnsResolver::Query {
  DnsResolver* resolver;
  LookupImpl* lookup;  // null once cancelled
  bool v6;
};

class DnsResolver::LookupImpl : public DnsLookup {
 public:
  LookupImpl(DnsResolver* resolver, std::string name, v1::HttpCheck::IpVersion family,
             absl::AnyInvocable<void(DnsUpdate)> update)
      : resolver_(resolver),
        name_(std::move(name)),
        family_(family),
        update_(std::make_shared<absl::AnyInvocable<void(DnsUpdate)>>(std::move(update))) {
    // On the next turn, so that the caller holds the lookup before it is answered.
    delay_ = resolver_->loop_->StartTimer(0, [this] { Ask(); });
  }

  ~LookupImpl() override {
    for (Query* query : queries_) {
      if (query != nullptr) query->lookup = nullptr;
    }
    resolver_->loop_->CancelTimer(delay_);
    for (auto& channel : by_tcp_) {
      if (channel != nullptr) resolver_->done_.push_back(std::move(channel));
    }
    if (destroyed_ != nullptr) *destroyed_ = true;
  }

  // False if that cannot be. May destroy this.
  bool AskByTcp(bool v6) {
    const size_t i = v6 ? 0 : 1;
    by_tcp_[i] = resolver_->MakeForTcp();
    DnsResolver* const channel = by_tcp_[i].get();
    if (channel == nullptr) return false;
    queries_[i] = new Query{channel, this, v6};
    channel->Send(name_, queries_[i]);
    channel->ArmTimer();
    return true;
  }

  void Take(Query* query, DnsAnswer answer) {
    queries_[query->v6 ? 0 : 1] = nullptr;
    const bool last = queries_[0] == nullptr && queries_[1] == nullptr;
    if (!answer.addresses.empty()) {
      held_.insert(held_.end(), answer.addresses.begin(), answer.addresses.end());
    } else if (failure_.reason == Reason::none || Weight(answer.reason) > Weight(failure_.reason)) {
      failure_ = std::move(answer);
    }
    // IPv4 alone waits a little, so that IPv6 goes first where it works.
    if (!last && !query->v6 && !held_.empty() && !told_) {
      delay_ = resolver_->loop_->StartTimer(
          absl::ToInt64Nanoseconds(DefaultEngineLimits().resolution_delay),
          [this] { Tell(false); });
      return;
    }
    if (last || !held_.empty()) Tell(last);
  }

 private:
  void Ask() {
    resolver_->tcp_channels_ -= resolver_->done_.size();
    resolver_->done_.clear();
    bool destroyed = false;
    destroyed_ = &destroyed;
    const bool both = family_ != v1::HttpCheck::IPV4 && family_ != v1::HttpCheck::IPV6;
    if (both || family_ == v1::HttpCheck::IPV6) queries_[0] = new Query{resolver_, this, true};
    if (both || family_ == v1::HttpCheck::IPV4) queries_[1] = new Query{resolver_, this, false};
    // An answer may come within ares_search (a name that cannot be, no server).
    for (int i = 0; i < 2 && !destroyed; ++i) {
      if (queries_[i] != nullptr) resolver_->Send(name_, queries_[i]);
    }
    if (destroyed) return;
    destroyed_ = nullptr;
    resolver_->ArmTimer();
  }

  void Tell(bool last) {
    resolver_->loop_->CancelTimer(delay_);
    delay_ = 0;
    DnsUpdate update;
    update.addresses = std::exchange(held_, {});
    update.final = last;
    told_ = told_ || !update.addresses.empty();
    if (last && !told_) {
      update.reason = failure_.reason;
      update.message = FailureText(name_, family_, failure_);
    }
    const auto keep = update_;
    (*keep)(std::move(update));  // may destroy this
  }

  DnsResolver* const resolver_;
  const std::string name_;
  const v1::HttpCheck::IpVersion family_;
  const std::shared_ptr<absl::AnyInvocable<void(DnsUpdate)>> update_;
  std::array<Query*, 2> queries_{};  // AAAA, A; null = not asked or answered
  std::array<std::unique_ptr<DnsResolver>, 2> by_tcp_;
  std::vector<IpAddress> held_;
  DnsAnswer failure_;
  bool told_ = false;
  bool* destroyed_ = nullptr;
  LoopTimers::Id delay_ = 0;
};

absl::StatusOr<std::unique_ptr<DnsResolver>> DnsResolver::Create(
    EventLoop* loop, const std::vector<std::string>& servers, std::string hosts_file) {
  return Make(loop, servers, std::move(hosts_file), false);
}

absl::StatusOr<std::unique_ptr<DnsResolver>> DnsResolver::Make(
    EventLoop* loop, const std::vector<std::string>& servers, std::string hosts_file, bool tcp) {
  if (absl::Status status = InitAres(); !status.ok()) return status;
  auto resolver = std::unique_ptr<DnsResolver>(new DnsResolver(loop, std::move(hosts_file)));
  ares_options options{};
  char lookups[] = "b";  // DNS only: the hosts file is read by us
  options.lookups = lookups;
  options.sock_state_cb = OnSocketState;
  options.sock_state_cb_data = resolver.get();
  options.flags = tcp ? ARES_FLAG_USEVC : ARES_FLAG_IGNTC;
  int given = ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB | ARES_OPT_FLAGS;
  resolver->tcp_ = tcp;
  resolver->servers_ = servers;
  if (!servers.empty() || !SetsTimeout("/etc/resolv.conf")) {
    // c-ares would wait 5 s for a lost packet: longer than many a check may take.
    options.timeout = kFirstTimeoutMs;
    options.tries = kTries;
    given |= ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
  }
  int status = ares_init_options(&resolver->channel_, &options, given);
  if (status != ARES_SUCCESS) {
    return absl::InternalError(absl::StrCat("cannot start DNS: ", ares_strerror(status)));
  }
  // With one of them given c-ares needs all.
  static const ares_socket_functions functions{
      .asocket = MakeSocket,
      .aclose = [](ares_socket_t fd, void*) { return close(fd); },
      .aconnect = [](ares_socket_t fd, const sockaddr* to, ares_socklen_t length,
                     void*) { return connect(fd, to, length); },
      .arecvfrom = Receive,
      .asendv = [](ares_socket_t fd, const iovec* parts, int count,
                   void*) { return writev(fd, parts, count); }};
  ares_set_socket_functions(resolver->channel_, &functions, resolver.get());
  if (!servers.empty()) {
    resolver->search_ = false;
    status = ares_set_servers_ports_csv(resolver->channel_, absl::StrJoin(servers, ",").c_str());
    if (status != ARES_SUCCESS) {
      return absl::InvalidArgumentError(
          absl::StrCat("DNS servers '", absl::StrJoin(servers, ","),
                       "' are not of the form ip[:port],...: ", ares_strerror(status)));
    }
  }
  return resolver;
}

DnsResolver::~DnsResolver() {
  loop_->CancelTimer(timer_);
  if (channel_ != nullptr) ares_destroy(channel_);
}

std::vector<IpAddress> DnsResolver::FindLocally(absl::string_view name,
                                                v1::HttpCheck::IpVersion family) {
  std::vector<IpAddress> found;
  const auto literal = ParseIp(name);
  const auto wanted = [family](const IpAddress& address) {
    return family == v1::HttpCheck::IPV4 ? !address.v6
                                         : family != v1::HttpCheck::IPV6 || address.v6;
  };
  if (literal) {
    found.push_back(*literal);
    return found;
  }
  for (const IpAddress& address : hosts_.Find(name, loop_->NowNs())) {
    if (wanted(address)) found.push_back(address);
  }
  if (found.empty() && (name == "localhost" || name == "localhost.")) {
    found.push_back(*ParseIp(family == v1::HttpCheck::IPV6 ? "::1" : "127.0.0.1"));
  }
  return found;
}

std::unique_ptr<DnsLookup> DnsResolver::Lookup(const std::string& name,
                                               v1::HttpCheck::IpVersion family,
                                               absl::AnyInvocable<void(DnsUpdate)> update) {
  return std::make_unique<LookupImpl>(this, name, family, std::move(update));
}

void DnsResolver::OnAnswer(void* query, int status, int timeouts, unsigned char* data, int length) {
  std::unique_ptr<Query> owned(static_cast<Query*>(query));
  LookupImpl* const lookup = owned->lookup;
  if (lookup == nullptr) return;
  const absl::string_view message(reinterpret_cast<const char*>(data),
                                  data == nullptr ? 0 : static_cast<size_t>(length));
  DnsAnswer answer;
  if (!owned->resolver->tcp_ && IsTruncated(message)) {
    if (lookup->AskByTcp(owned->v6)) return;
    answer.reason = Reason::agent_resources;
    answer.problem = "the agent asks for too many names by TCP";
  } else {
    answer = AnswerOf(status, message, owned->v6, owned->resolver->socket_error_);
  }
  lookup->Take(owned.get(), std::move(answer));
}

// As c-ares would make it, but that it is told why there is none: c-ares takes that for a
// server that refuses.
ares_socket_t DnsResolver::MakeSocket(int family, int type, int protocol, void* self) {
  const int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  static_cast<DnsResolver*>(self)->socket_error_ = fd < 0 && IsOwnResourceError(errno) ? errno : 0;
  if (fd < 0) return ARES_SOCKET_BAD;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBufferBytes, sizeof(kReceiveBufferBytes));
  return fd;
}

// A datagram that was cut is made an error that ends the search for a name, whatever it
// holds: the question is then asked again by TCP. From a stream there is no `from`.
ares_ssize_t DnsResolver::Receive(ares_socket_t fd, void* data, size_t size, int flags,
                                  sockaddr* from, ares_socklen_t* length, void*) {
  const ssize_t got = recvfrom(fd, data, size, flags, from, length);
  auto* bytes = static_cast<unsigned char*>(data);
  if (from != nullptr && got >= static_cast<ssize_t>(kHeaderBytes) &&
      (bytes[2] & kTruncated) != 0) {
    bytes[3] = static_cast<unsigned char>((bytes[3] & 0xf0) | kFormatError);
  }
  return got;
}

void DnsResolver::Send(const std::string& name, Query* query) {
  const int type = query->v6 ? ns_t_aaaa : ns_t_a;
  if (search_) {
    ares_search(channel_, name.c_str(), ns_c_in, type, OnAnswer, query);
  } else {
    ares_query(channel_, name.c_str(), ns_c_in, type, OnAnswer, query);
  }
}

std::unique_ptr<DnsResolver> DnsResolver::MakeForTcp() {
  if (tcp_channels_ >= DefaultEngineLimits().dns_tcp_questions) return nullptr;
  auto made = Make(loop_, servers_, "", true);
  if (!made.ok()) return nullptr;
  ++tcp_channels_;
  return *std::move(made);
}

void DnsResolver::OnSocketState(void* self, ares_socket_t fd, int readable, int writable) {
  auto* resolver = static_cast<DnsResolver*>(self);
  if (!readable && !writable) {
    resolver->loop_->Forget(fd);  // c-ares closes it next
    return;
  }
  // A socket that cannot be watched shows as a time-out.
  (void)resolver->loop_->Watch(fd, (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u),
                               resolver);
}

void DnsResolver::OnReady(int fd, uint32_t events) {
  const bool readable = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
  const bool writable = (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0;
  ares_process_fd(channel_, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
  ArmTimer();
}

void DnsResolver::ArmTimer() {
  loop_->CancelTimer(timer_);
  timer_ = 0;
  timeval wait{};
  if (ares_timeout(channel_, nullptr, &wait) == nullptr) return;
  timer_ = loop_->StartTimer(int64_t{wait.tv_sec} * 1'000'000'000 + int64_t{wait.tv_usec} * 1000,
                             [this] {
                               timer_ = 0;
                               ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
                               ArmTimer();
                             });
}

}  // namespace picket
