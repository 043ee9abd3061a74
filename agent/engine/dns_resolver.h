// File: dns_resolver.h
//
// Names to addresses on the event loop: literals, the hosts file and localhost at
// once and without a packet, everything else by c-ares. No cache: every check learns
// what DNS says now.
//
// Thread rule: thread-compatible; the loop's own thread.

#ifndef AGENT_ENGINE_DNS_RESOLVER_H_
#define AGENT_ENGINE_DNS_RESOLVER_H_

#include <ares.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/engine/dns_address.h"
#include "agent/engine/dns_answer.h"
#include "agent/engine/dns_hosts.h"
#include "agent/engine/loop.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// A step of a lookup.
struct DnsUpdate {
  // New addresses; those of earlier updates are not repeated.
  std::vector<IpAddress> addresses;
  // No further update follows.
  bool final = false;
  // Why there is no address at all; only in a final update without any.
  v1::FailureReason::Value reason = v1::FailureReason::none;
  std::string message;
};

// A lookup under way; destroying it cancels: its callback is not called any more.
class DnsLookup {
 public:
  virtual ~DnsLookup() = default;
};

class DnsResolver : private FdHandler {
 public:
  // `servers` as "ip[:port]"; empty = resolv.conf, with its options and search list.
  // Servers given here are asked for the name as it is, without a search list. Unless
  // resolv.conf says otherwise a server is given 1, 2, 4 and 8 s.
  static absl::StatusOr<std::unique_ptr<DnsResolver>> Create(
      EventLoop* loop, const std::vector<std::string>& servers, std::string hosts_file);
  ~DnsResolver() override;

  // What is known without a packet: addresses of a literal, of the hosts file or of
  // localhost, in the wanted family. Empty if DNS must be asked.
  std::vector<IpAddress> FindLocally(absl::string_view name, v1::HttpCheck::IpVersion family);

  // Asks DNS. With both families (RFC 8305, section 3) `update` is called as soon as
  // there is something to connect to: with AAAA at once, with A after a short wait for
  // AAAA. It is called on later turns only, until `final`.
  std::unique_ptr<DnsLookup> Lookup(const std::string& name, v1::HttpCheck::IpVersion family,
                                    absl::AnyInvocable<void(DnsUpdate)> update);

 private:
  class LookupImpl;
  struct Query;

  DnsResolver(EventLoop* loop, std::string hosts_file)
      : loop_(loop), hosts_(std::move(hosts_file)) {}
  static absl::StatusOr<std::unique_ptr<DnsResolver>> Make(EventLoop* loop,
                                                           const std::vector<std::string>& servers,
                                                           std::string hosts_file, bool tcp);
  static ares_socket_t MakeSocket(int family, int type, int protocol, void* self);
  static void OnSocketState(void* self, ares_socket_t fd, int readable, int writable);
  static void OnAnswer(void* query, int status, int timeouts, unsigned char* data, int length);
  static ares_ssize_t Receive(ares_socket_t fd, void* data, size_t size, int flags,
                              sockaddr* from, ares_socklen_t* length, void* self);
  // Asks what `query` stands for; it may be answered, and its lookup gone, on return.
  void Send(const std::string& name, Query* query);
  // For one question whose answer did not fit a datagram. Null if there are too many.
  std::unique_ptr<DnsResolver> MakeForTcp();
  void OnReady(int fd, uint32_t events) override;
  void ArmTimer();

  EventLoop* const loop_;
  HostsFile hosts_;
  ares_channel channel_ = nullptr;
  int socket_error_ = 0;  // why the last socket could not be made, if the agent's own fault
  bool search_ = true;
  // c-ares gives every question of a channel a new try when one connection of it breaks;
  // so a question that needs TCP has a channel of its own.
  bool tcp_ = false;
  std::vector<std::string> servers_;
  size_t tcp_channels_ = 0;  // made and not destroyed
  std::vector<std::unique_ptr<DnsResolver>> done_;  // destroyed once no callback runs
  LoopTimers::Id timer_ = 0;
};

}  // namespace picket

#endif  // AGENT_ENGINE_DNS_RESOLVER_H_
