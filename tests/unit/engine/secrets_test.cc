#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "agent/engine/engine.h"
#include "common/base/files.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

class SecretsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "/secrets.XXXXXX";
    ASSERT_NE(mkdtemp(directory_.data()), nullptr);
  }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_OK(WriteFileAtomically(directory_ + "/" + name, text, 0600));
  }
  std::string directory_;
};

TEST_F(SecretsTest, GivenStandsOverEnvironmentOverFile) {
  Write("PICKET_T1", "file");
  Write("PICKET_T2", "file");
  Write("PICKET_T3", "file\n");
  setenv("PICKET_SECRET_PICKET_T1", "env", 1);
  setenv("PICKET_SECRET_PICKET_T2", "env", 1);
  auto secrets = MakeSecretSource(directory_, {{"PICKET_T1", "given"}});
  EXPECT_EQ(secrets->Lookup("PICKET_T1", "h"), "given");
  EXPECT_EQ(secrets->Lookup("PICKET_T2", "h"), "env");
  EXPECT_EQ(secrets->Lookup("PICKET_T3", "h"), "file");
  EXPECT_EQ(secrets->Lookup("PICKET_T4", "h"), std::nullopt);
  unsetenv("PICKET_SECRET_PICKET_T1");
  unsetenv("PICKET_SECRET_PICKET_T2");
}

TEST_F(SecretsTest, NoOtherEnvironmentNameCanBeRead) {
  setenv("PICKET_T5", "x", 1);
  auto secrets = MakeSecretSource("", {});
  EXPECT_EQ(secrets->Value("PICKET_T5"), std::nullopt);
  unsetenv("PICKET_T5");
}

TEST_F(SecretsTest, ANameCannotLeaveTheDirectory) {
  Write("outside", "x");
  auto secrets = MakeSecretSource(directory_ + "/sub", {});
  EXPECT_EQ(secrets->Value("../outside"), std::nullopt);
}

TEST_F(SecretsTest, ABoundSecretGoesOnlyToItsHosts) {
  Write("TOKEN", "t");
  Write("TOKEN.hosts", "shop.example\n*.api.example\n\n");
  auto secrets = MakeSecretSource(directory_, {});
  EXPECT_EQ(secrets->Lookup("TOKEN", "Shop.Example"), "t");
  EXPECT_EQ(secrets->Lookup("TOKEN", "eu.api.example"), "t");
  EXPECT_EQ(secrets->Lookup("TOKEN", "api.example"), std::nullopt);
  EXPECT_EQ(secrets->Lookup("TOKEN", "evil-api.example"), std::nullopt);
  EXPECT_EQ(secrets->Lookup("TOKEN", "evil.example"), std::nullopt);
  EXPECT_EQ(secrets->Value("TOKEN"), "t");
}

TEST_F(SecretsTest, AnEmptyListOfHostsBindsToNone) {
  Write("TOKEN", "t");
  Write("TOKEN.hosts", "");
  EXPECT_EQ(MakeSecretSource(directory_, {})->Lookup("TOKEN", "h"), std::nullopt);
}

TEST_F(SecretsTest, AnEmptySecretIsNone) {
  Write("EMPTY", "\n");
  EXPECT_EQ(MakeSecretSource(directory_, {{"GIVEN", ""}})->Value("EMPTY"), std::nullopt);
  EXPECT_EQ(MakeSecretSource(directory_, {{"GIVEN", ""}})->Value("GIVEN"), std::nullopt);
}

}  // namespace
}  // namespace picket
