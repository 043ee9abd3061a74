// The contract, held by SQLite, and what is SQLite's own: the file, its lock, its schema.

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "coordinator/store/sql_schema.h"
#include "tests/contract/store/store_contract.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A folder that goes with its owner.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "picket-store-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  std::string File(const std::string& name) const { return absl::StrCat(path_, "/", name); }

 private:
  std::string path_;
};

class SqliteFixture : public StoreFixture {
 public:
  SqliteFixture() { Reopen(); }
  Store& store() override { return *store_; }
  void Reopen() override {
    store_.reset();
    auto store = OpenStore(absl::StrCat("sqlite:", folder_.File("picket.db")), Clock::Real());
    ASSERT_OK(store);
    store_ = *std::move(store);
  }

 private:
  TempFolder folder_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract,
                         ::testing::Values(StoreKind{"sqlite",
                                                     [](std::string&) {
                                                       return std::make_unique<SqliteFixture>();
                                                     }}),
                         [](const auto& info) { return info.param.name; });

absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path) {
  return OpenStore(absl::StrCat("sqlite:", path), Clock::Real());
}

void RunSql(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
}

TEST(SqliteStoreTest, TheFileIsForItsOwnerAlone) {
  TempFolder folder;
  { std::ofstream(folder.File("p.db")); }
  ASSERT_EQ(chmod(folder.File("p.db").c_str(), 0644), 0);
  ASSERT_OK_AND_ASSIGN(auto store, Open(folder.File("p.db")));
  ASSERT_OK(store->Commit({AdmitRun(MakeAdmission(RunId(1), 1, {"a"}))}));
  for (const char* name : {"p.db", "p.db-wal", "p.db.lock"}) {
    struct stat stats = {};
    ASSERT_EQ(stat(folder.File(name).c_str(), &stats), 0) << name;
    EXPECT_EQ(stats.st_mode & 0777, 0600u) << name;
  }
}

TEST(SqliteStoreTest, ASecondCoordinatorIsRefusedAndTheFirstIsNamed) {
  TempFolder folder;
  ASSERT_OK_AND_ASSIGN(auto first, Open(folder.File("p.db")));
  EXPECT_THAT(Open(folder.File("p.db")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(folder.File("p.db")), HasSubstr(absl::StrCat(getpid())))));
  // And the first goes on.
  EXPECT_OK(first->Commit({AdmitRun(MakeAdmission(RunId(1), 1, {"a"}))}));
  first.reset();
  ASSERT_OK_AND_ASSIGN(auto second, Open(folder.File("p.db")));
  EXPECT_OK(second->GetRun(RunId(1)));
}

TEST(SqliteStoreTest, NobodyElseWritesToItsFile) {
  TempFolder folder;
  ASSERT_OK_AND_ASSIGN(auto store, Open(folder.File("p.db")));
  EXPECT_TRUE(store->Exclusive());
}

TEST(SqliteStoreTest, ANewerStoreIsRefusedAndBothVersionsAreNamed) {
  TempFolder folder;
  { ASSERT_OK(Open(folder.File("p.db"))); }
  RunSql(folder.File("p.db"), "INSERT INTO picket_schema VALUES (4242)");
  EXPECT_THAT(Open(folder.File("p.db")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("4242"), HasSubstr(absl::StrCat("knows schema version ", LatestSchema())))));
}

TEST(SqliteStoreTest, AStoreWithoutAnOutboxGetsOne) {
  TempFolder folder;
  { ASSERT_OK(Open(folder.File("p.db"))); }
  RunSql(folder.File("p.db"), "DROP TABLE outbox; ALTER TABLE history DROP COLUMN learning;"
         "ALTER TABLE history_keys DROP COLUMN kept; DELETE FROM picket_schema WHERE version >= 2");
  ASSERT_OK_AND_ASSIGN(auto store, Open(folder.File("p.db")));
  store->KeepOutbox({"deploys"});
  AdmitRun empty = MakeAdmission(RunId(1), 0, {"eu-west"});
  ASSERT_OK(store->Commit({std::move(empty)}));
  ASSERT_OK_AND_ASSIGN(auto rows, store->ClaimOutbox("deploys", absl::Seconds(1), 10));
  EXPECT_EQ(rows.size(), 1u);
}

TEST(SqliteStoreTest, AFolderThatIsNotThereIsNamed) {
  TempFolder folder;
  EXPECT_THAT(Open(folder.File("none/p.db")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(folder.File("none/p.db"))));
}

TEST(SqliteStoreTest, AFolderInPlaceOfAFileIsRefused) {
  TempFolder folder;
  std::filesystem::create_directory(folder.File("p.db"));
  EXPECT_THAT(Open(folder.File("p.db")),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(folder.File("p.db"))));
}

TEST(SqliteStoreTest, WhatIsNoDatabaseIsDataLoss) {
  TempFolder folder;
  std::ofstream(folder.File("p.db")) << std::string(4096, 'x');
  EXPECT_THAT(Open(folder.File("p.db")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(folder.File("p.db"))));
}

TEST(SqliteStoreTest, ADamagedFileIsDataLoss) {
  TempFolder folder;
  {
    ASSERT_OK_AND_ASSIGN(auto store, Open(folder.File("p.db")));
    ASSERT_OK(store->Commit({AdmitRun(MakeAdmission(RunId(1), 500, {"a", "b"}))}));
  }
  const auto size = std::filesystem::file_size(folder.File("p.db"));
  std::fstream file(folder.File("p.db"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(8192);
  file << std::string(size - 8192, '\xee');
  file.close();
  EXPECT_THAT(Open(folder.File("p.db")), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(SqliteStoreTest, AnEmptyFileBecomesAStore) {
  TempFolder folder;
  { std::ofstream(folder.File("p.db")); }
  EXPECT_OK(Open(folder.File("p.db")));
}

TEST(SqliteStoreTest, AnUnknownKindOfStoreIsAnInvalidArgument) {
  EXPECT_THAT(OpenStore("mysql://x", Clock::Real()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("sqlite:PATH")));
  EXPECT_THAT(OpenStore("sqlite:", Clock::Real()), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace picket
