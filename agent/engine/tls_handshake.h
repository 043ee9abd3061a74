// File: tls_handshake.h
//
// One TLS handshake, watched from inside OpenSSL: when it began and ended, which
// certificates came (also when it failed), which alert, and what all that means.
//
// Thread rule: thread-compatible; the loop's own thread. A handshake lives as long as
// the SSL_CTX it configured, and longer while others hold it.

#ifndef AGENT_ENGINE_TLS_HANDSHAKE_H_
#define AGENT_ENGINE_TLS_HANDSHAKE_H_

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/engine/tls_store.h"
#include "picket/v1/result.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// What a finished handshake settled.
struct TlsFacts {
  std::string version, cipher;                // "TLSv1.3", "TLS_AES_256_GCM_SHA384"
  std::string alpn;                           // "h2", "http/1.1", or empty
  std::vector<v1::Certificate> certificates;  // leaf first, as the server sent them
};

struct TlsSetup {
  bool verify = true;
  X509StorePtr store;  // not null
  std::shared_ptr<const ClientIdentity> identity;
  std::string min_version;  // "1.0" .. "1.3", empty = 1.2
  std::string verify_name;  // name or address the certificate must be for
  std::string server_name;  // SNI to send instead of the URL's host; empty = as libcurl does
  bool only_http2 = false;  // offer h2 alone
};

class TlsHandshake : public std::enable_shared_from_this<TlsHandshake> {
 public:
  explicit TlsHandshake(TlsSetup setup) : setup_(std::move(setup)) {}

  // To be called when libcurl has made `ctx`. False if OpenSSL refuses.
  bool Configure(SSL_CTX* ctx);

  bool started() const { return start_ns_ != 0; }
  bool done() const { return done_ns_ != 0; }
  int64_t start_ns() const { return start_ns_; }
  int64_t done_ns() const { return done_ns_; }
  const TlsFacts& facts() const { return facts_; }
  SSL* ssl() const { return ssl_; }  // valid while the connection is open

  // A received fatal alert, or -1.
  int alert() const { return alert_; }
  // The server ended the connection in good order.
  bool close_notify() const { return close_notify_; }
  bool certificate_requested() const { return certificate_requested_; }

  // Why the handshake failed, or, after it, why the server ended the connection with
  // an alert. `none` if TLS knows of no reason: the connection itself broke.
  // `message` receives one sentence; `peer` is "host:port".
  v1::FailureReason::Value Reason(const std::string& peer, std::string* message) const;

 private:
  static int OnVerify(X509_STORE_CTX* store, void* self);
  static void OnInfo(const SSL* ssl, int where, int value);
  static int OnCertificateRequest(SSL* ssl, void* self);
  int Verify(X509_STORE_CTX* store);
  void Begin(SSL* ssl);
  void Finish(const SSL* ssl);
  v1::FailureReason::Value VerifyReason(const std::string& peer, std::string* message) const;

  const TlsSetup setup_;
  SSL* ssl_ = nullptr;
  int64_t start_ns_ = 0, done_ns_ = 0;
  int verify_error_ = 0;  // X509_V_OK
  int verify_depth_ = 0;
  int alert_ = -1;
  bool alert_sent_ = false;
  bool close_notify_ = false;
  bool certificate_requested_ = false;
  TlsFacts facts_;
};

}  // namespace picket

#endif  // AGENT_ENGINE_TLS_HANDSHAKE_H_
