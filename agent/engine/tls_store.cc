#include "agent/engine/tls_store.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/engine/limits.h"
#include "common/base/mutex.h"

namespace picket {
namespace {

using BioPtr = std::unique_ptr<BIO, int (*)(BIO*)>;

BioPtr ReadOnly(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
}

// Certificates of a bundle; other PEM blocks are passed over.
std::vector<std::shared_ptr<X509>> ReadCertificates(const std::string& pem) {
  std::vector<std::shared_ptr<X509>> certificates;
  if (pem.size() > DefaultEngineLimits().pem_bytes) return certificates;
  BioPtr bio = ReadOnly(pem);
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(one, X509_free);
  }
  ERR_clear_error();
  return certificates;
}

X509StorePtr NewStore() {
  X509StorePtr store(X509_STORE_new(), X509_STORE_free);
  // A certificate that the user trusts is trusted, root or not, as in libcurl.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  return store;
}

std::string Sha256(const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_Digest(text.data(), text.size(), digest, &length, EVP_sha256(), nullptr);
  return std::string(reinterpret_cast<char*>(digest), length);
}

int NoPassword(char*, int, int, void*) { return 0; }

}  // namespace

absl::StatusOr<X509StorePtr> SystemStore(const std::string& ca_file) {
  static Mutex* const mu = new Mutex;
  static auto* const stores = new std::map<std::string, X509StorePtr>;
  const std::string path = ca_file.empty() ? "/etc/ssl/certs/ca-certificates.crt" : ca_file;
  MutexLock lock(mu);
  X509StorePtr& cached = (*stores)[path];
  if (cached != nullptr) return cached;
  X509StorePtr store = NewStore();
  if (X509_STORE_load_file(store.get(), path.c_str()) != 1) {
    ERR_clear_error();
    if (!ca_file.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("the CA bundle ", path,
                                                     " cannot be read, or holds no certificate"));
    }
    // A machine without a bundle trusts nobody.
  }
  cached = std::move(store);
  return cached;
}

std::string TlsStores::NameOf(const Pem& pem) {
  if (pem == nullptr) return "";
  const auto found = names_.find(pem.get());
  if (found != names_.end()) return found->second.digest;
  if (names_.size() >= 4 * DefaultEngineLimits().client_identities) names_.clear();
  std::string digest = Sha256(*pem);
  names_[pem.get()] = {pem, digest};
  return digest;
}

absl::StatusOr<X509StorePtr> TlsStores::StoreOf(const Pem& ca) {
  if (ca == nullptr) return SystemStore(ca_file_);
  const std::string name = NameOf(ca);
  const auto found = stores_.find(name);
  if (found != stores_.end()) return found->second;
  const auto certificates = ReadCertificates(*ca);
  if (certificates.empty()) {
    return absl::InvalidArgumentError("tls.ca holds no certificate in PEM form");
  }
  X509StorePtr store = NewStore();
  for (const auto& certificate : certificates) X509_STORE_add_cert(store.get(), certificate.get());
  ERR_clear_error();
  if (stores_.size() >= DefaultEngineLimits().ca_stores) stores_.erase(stores_.begin());
  stores_[name] = store;
  return store;
}

absl::StatusOr<std::shared_ptr<const ClientIdentity>> TlsStores::IdentityOf(const Pem& cert,
                                                                            const Pem& key) {
  const Pem& key_pem = key == nullptr ? cert : key;
  const std::string name = absl::StrCat(NameOf(cert), NameOf(key_pem));
  const auto found = identities_.find(name);
  if (found != identities_.end()) return found->second;
  const auto certificates = ReadCertificates(*cert);
  if (certificates.empty()) {
    return absl::InvalidArgumentError("tls.cert holds no certificate in PEM form");
  }
  auto identity = std::make_shared<ClientIdentity>();
  identity->certificate = certificates[0];
  identity->chain = std::shared_ptr<STACK_OF(X509)>(
      sk_X509_new_null(), [](STACK_OF(X509) * chain) { sk_X509_pop_free(chain, X509_free); });
  for (size_t i = 1; i < certificates.size(); ++i) {
    X509_up_ref(certificates[i].get());
    sk_X509_push(identity->chain.get(), certificates[i].get());
  }
  BioPtr bio = ReadOnly(*key_pem);
  identity->key = std::shared_ptr<EVP_PKEY>(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr), EVP_PKEY_free);
  ERR_clear_error();
  if (identity->key == nullptr) {
    return absl::InvalidArgumentError(
        "tls.key holds no private key in PEM form, or one that is protected by a password");
  }
  if (X509_check_private_key(identity->certificate.get(), identity->key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError("tls.key is not the key of tls.cert");
  }
  if (identities_.size() >= DefaultEngineLimits().client_identities) {
    identities_.erase(identities_.begin());
  }
  identities_[name] = identity;
  return std::shared_ptr<const ClientIdentity>(identity);
}

}  // namespace picket
