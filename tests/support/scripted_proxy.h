// File: scripted_proxy.h
//
// Proxies on loopback, as behaviours of a ScriptedServer.
//
// Thread rule: the behaviours may run on many connections at once.

#ifndef TESTS_SUPPORT_SCRIPTED_PROXY_H_
#define TESTS_SUPPORT_SCRIPTED_PROXY_H_

#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "tests/support/scripted_server.h"

namespace picket {

// What a proxy was asked for.
class ProxyLog {
 public:
  void Add(std::string entry);
  std::vector<std::string> entries() const;

 private:
  mutable Mutex mu_;
  std::vector<std::string> entries_ ABSL_GUARDED_BY(mu_);
};

// Connects to 127.0.0.1 at the asked port, whatever host was asked for; logs
// "CONNECT host:port" or the start line of a plain request, which it passes on. With
// `credentials` ("user:password") it wants them first.
ScriptedBehaviour HttpProxy(std::shared_ptr<ProxyLog> log, std::string credentials = "");

// SOCKS5 (RFC 1928) by name; logs "host:port". With `credentials`, RFC 1929.
ScriptedBehaviour Socks5Proxy(std::shared_ptr<ProxyLog> log, std::string credentials = "");

}  // namespace picket

#endif  // TESTS_SUPPORT_SCRIPTED_PROXY_H_
