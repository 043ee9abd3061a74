// File: scripted_dns.h
//
// A DNS server on loopback (UDP) that answers by the name asked for: what a name
// gets is said by its first labels, see scripted_dns.cc.
//
// Thread rule: safe from any thread.

#ifndef TESTS_SUPPORT_SCRIPTED_DNS_H_
#define TESTS_SUPPORT_SCRIPTED_DNS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"

namespace picket {

// A question as it came.
struct DnsQuestion {
  std::string packet;
  std::string name;   // lower case, with dots
  uint16_t type = 0;  // 1 = A, 28 = AAAA
};

// What to send back; an empty string = silence.
using DnsBehaviour = std::function<std::string(const DnsQuestion&)>;

class ScriptedDns {
 public:
  ScriptedDns();
  ~ScriptedDns();

  // "127.0.0.1:port", for TransferLoop::Options::dns_servers.
  std::string address() const;
  void On(const std::string& name, DnsBehaviour behaviour);
  // Names asked for, with their types, in order: "ok.test/1".
  std::vector<std::string> questions() const;

 private:
  void Serve();

  int fd_ = -1;
  int stop_fd_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
  mutable Mutex mu_;
  std::map<std::string, DnsBehaviour> behaviours_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> questions_ ABSL_GUARDED_BY(mu_);
};

// Building blocks of answers.
// With records of the asked type: `data` as on the wire (4 or 16 bytes each).
std::string DnsAddresses(const DnsQuestion& question, const std::vector<std::string>& data);
// With a response code alone: 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
std::string DnsCode(const DnsQuestion& question, int code);
// With aliases, each owner and target as names with dots.
std::string DnsAliases(const DnsQuestion& question,
                       const std::vector<std::pair<std::string, std::string>>& aliases,
                       const std::vector<std::pair<std::string, std::string>>& addresses);

}  // namespace picket

#endif  // TESTS_SUPPORT_SCRIPTED_DNS_H_
