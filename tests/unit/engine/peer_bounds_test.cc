// Bounds of what names, certificates and hosts files may bring, each reached.

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/engine/dns_hosts.h"
#include "agent/engine/limits.h"
#include "agent/engine/tls_certificate.h"
#include "agent/engine/tls_store.h"
#include "tests/support/scripted_dns.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_pki.h"
#include "tests/unit/engine/transfer_test_util.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;

const EngineLimits& kLimits = DefaultEngineLimits();

TEST(DnsBoundsTest, NoMoreThanSomeAddressesOfANameAreTried) {
  ScriptedDns dns;
  dns.On("many.test", [](const DnsQuestion& question) {
    if (question.type != 1) return DnsCode(question, 0);
    std::vector<std::string> addresses;
    for (size_t i = 1; i <= kLimits.addresses + 4; ++i) {
      addresses.push_back({'\x7f', '\0', '\x01', static_cast<char>(i)});
    }
    return DnsAddresses(question, addresses);
  });
  TransferRunner runner({.dns_servers = {dns.address()}});
  const TransferResult result = runner.Run(Get("http://many.test:1/"));
  EXPECT_EQ(Name(result.reason), "connect_refused") << result.message;
  EXPECT_EQ(result.addresses_tried.size(), kLimits.addresses);
}

TEST(DnsBoundsTest, AChainOfAliasesEnds) {
  ScriptedDns dns;
  const auto chain = [](size_t length) {
    return [length](const DnsQuestion& question) {
      if (question.type != 1) return DnsCode(question, 0);
      std::vector<std::pair<std::string, std::string>> aliases;
      std::string owner = question.name;
      for (size_t i = 0; i < length; ++i) {
        aliases.emplace_back(owner, absl::StrCat("a", i, ".test"));
        owner = aliases.back().second;
      }
      return DnsAliases(question, aliases, {{owner, std::string("\x7f\0\0\x01", 4)}});
    };
  };
  dns.On("long.test", chain(kLimits.dns_aliases - 1));
  dns.On("endless.test", chain(kLimits.dns_aliases + 1));
  TransferRunner runner({.dns_servers = {dns.address()}});
  EXPECT_EQ(Name(runner.Run(Get("http://long.test:1/")).reason), "connect_refused");
  EXPECT_EQ(Name(runner.Run(Get("http://endless.test:1/")).reason), "dns_server_failure");
}

TEST(HostsBoundsTest, AHostsFileIsReadUpToAMost) {
  std::string directory = ::testing::TempDir() + "/picket-hosts-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/hosts";
  {
    std::ofstream file(path);
    for (size_t i = 0; i < kLimits.hosts_entries; ++i) file << "127.0.0.1 h" << i << "\n";
    file << "127.0.0.1 beyond\n";
  }
  HostsFile hosts(path);
  EXPECT_EQ(hosts.Find("h0", 1).size(), 1u);
  EXPECT_EQ(hosts.Find(absl::StrCat("h", kLimits.hosts_entries - 1), 1).size(), 1u);
  EXPECT_TRUE(hosts.Find("beyond", 1).empty());
}

TEST(CertificateBoundsTest, NoMoreThanSomeAlternativeNamesAreTold) {
  TestCertificateOptions options;
  options.names.clear();
  for (size_t i = 0; i < 2 * kLimits.alternative_names; ++i) {
    options.names.push_back(absl::StrCat("h", i, ".test"));
  }
  const TestIdentity identity = MakeTestCertificate(options);
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(
      BIO_new_mem_buf(identity.certificate.data(), static_cast<int>(identity.certificate.size())),
      BIO_free);
  const std::unique_ptr<X509, void (*)(X509*)> certificate(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
  ASSERT_NE(certificate, nullptr);
  EXPECT_EQ(
      static_cast<size_t>(DescribeCertificate(certificate.get()).subject_alternative_names_size()),
      kLimits.alternative_names);
}

TEST(TlsBoundsTest, ABundleThatIsTooLargeIsRefused) {
  TlsStores stores("");
  const std::string pem = MakeTestCertificate({}).certificate;
  std::string bundle = pem;
  bundle.append(kLimits.pem_bytes - bundle.size(), '\n');
  EXPECT_OK(stores.StoreOf(std::make_shared<const std::string>(bundle)));
  bundle += '\n';
  EXPECT_THAT(stores.StoreOf(std::make_shared<const std::string>(bundle)),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(TlsBoundsTest, MoreStoresAndIdentitiesThanAreKeptStillServe) {
  TlsStores stores("");
  const TestIdentity identity = MakeTestCertificate({});
  for (size_t i = 0; i <= kLimits.client_identities + 1; ++i) {
    // Different contents, the same certificate.
    const auto pem = std::make_shared<const std::string>(
        absl::StrCat(identity.certificate, std::string(i, '\n')));
    const auto key =
        std::make_shared<const std::string>(absl::StrCat(identity.key, std::string(i, '\n')));
    ASSERT_OK(stores.StoreOf(pem));
    ASSERT_OK(stores.IdentityOf(pem, key));
  }
  const auto first = std::make_shared<const std::string>(identity.certificate);
  EXPECT_OK(stores.StoreOf(first));
}

}  // namespace
}  // namespace picket
