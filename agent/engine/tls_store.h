// File: tls_store.h
//
// Trusted roots and client identities, parsed once: one X509_STORE per CA bundle (by
// digest), because loading a bundle costs more than a handshake.
//
// Thread rule: SystemStore is safe from any thread; the rest is thread-compatible, one
// owner a loop.

#ifndef AGENT_ENGINE_TLS_STORE_H_
#define AGENT_ENGINE_TLS_STORE_H_

#include <openssl/ssl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace picket {

using X509StorePtr = std::shared_ptr<X509_STORE>;

// A client's certificate, those between it and its root, and its key.
struct ClientIdentity {
  std::shared_ptr<X509> certificate;
  std::shared_ptr<STACK_OF(X509)> chain;
  std::shared_ptr<EVP_PKEY> key;
};

// The store of `ca_file` (empty = the system's bundle), shared by the whole process.
absl::StatusOr<X509StorePtr> SystemStore(const std::string& ca_file);

class TlsStores {
 public:
  using Pem = std::shared_ptr<const std::string>;

  explicit TlsStores(std::string ca_file) : ca_file_(std::move(ca_file)) {}

  // The store for `ca`; null = the system's. InvalidArgument, as a phrase, if it holds
  // no certificate.
  absl::StatusOr<X509StorePtr> StoreOf(const Pem& ca);
  // REQUIRES: `cert` is not null. A null `key` is looked for beside the certificate.
  absl::StatusOr<std::shared_ptr<const ClientIdentity>> IdentityOf(const Pem& cert, const Pem& key);
  // A short name of the contents, for keys: "" for null.
  std::string NameOf(const Pem& pem);

 private:
  // Digests by object: the blob is held, so that its address stays its own.
  struct Named {
    Pem pem;
    std::string digest;
  };

  const std::string ca_file_;
  absl::flat_hash_map<const std::string*, Named> names_;
  absl::flat_hash_map<std::string, X509StorePtr> stores_;
  absl::flat_hash_map<std::string, std::shared_ptr<const ClientIdentity>> identities_;
};

}  // namespace picket

#endif  // AGENT_ENGINE_TLS_STORE_H_
