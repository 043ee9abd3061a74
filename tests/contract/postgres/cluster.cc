#include "tests/contract/postgres/cluster.h"

#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace picket {
namespace {

constexpr char kUser[] = "postgres";

// Root may not run the server.
void BecomeServerUser() {
  if (geteuid() != 0) return;
  const passwd* user = getpwnam(kUser);
  if (user == nullptr || initgroups(kUser, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
      setuid(user->pw_uid) != 0) {
    _exit(127);
  }
}

std::string FindServer() {
  std::string newest;
  std::error_code error;
  for (const auto& version :
       std::filesystem::directory_iterator("/usr/lib/postgresql", error)) {
    const std::string bin = version.path() / "bin";
    if (std::filesystem::exists(bin + "/initdb") && bin > newest) newest = bin;
  }
  return newest;
}

}  // namespace

PostgresCluster* PostgresCluster::Shared(std::string& reason) {
  static std::string why;
  static const std::unique_ptr<PostgresCluster> cluster = Make(why);
  reason = why;
  return cluster.get();
}

std::unique_ptr<PostgresCluster> PostgresCluster::Make(std::string& reason) {
  const std::string bin = FindServer();
  if (bin.empty()) {
    reason = "no PostgreSQL server is installed (Debian: postgresql)";
    return nullptr;
  }
  std::unique_ptr<PostgresCluster> cluster(new PostgresCluster());
  std::string pattern = (std::filesystem::temp_directory_path() / "picket-pg-XXXXXX").string();
  cluster->bin_ = bin;
  cluster->folder_ = mkdtemp(pattern.data());
  if (geteuid() == 0) {
    const passwd* user = getpwnam(kUser);
    if (user == nullptr || chown(cluster->folder_.c_str(), user->pw_uid, user->pw_gid) != 0) {
      reason = "no user postgres to run the server as";
      return nullptr;
    }
  }
  if (cluster->Run("initdb", absl::StrCat("-D ", cluster->folder_, "/data -A trust -U ", kUser,
                                          " --no-sync -E UTF8 --locale=C >",
                                          cluster->folder_, "/initdb.log 2>&1")) != 0 ||
      !cluster->Start()) {
    reason = absl::StrCat("PostgreSQL did not start; see ", cluster->folder_);
    return nullptr;
  }
  return cluster;
}

PostgresCluster::~PostgresCluster() {
  Stop();
  std::error_code error;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, error);
}

int PostgresCluster::Run(const std::string& program, const std::string& arguments) {
  const std::string command = absl::StrCat("exec ", bin_, "/", program, " ", arguments);
  const pid_t child = fork();
  if (child == 0) {
    BecomeServerUser();
    if (chdir(folder_.c_str()) != 0) _exit(127);
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool PostgresCluster::Start() {
  int log[2];
  if (pipe2(log, O_CLOEXEC) != 0) return false;
  const pid_t parent = getpid();
  server_ = fork();
  if (server_ == 0) {
    BecomeServerUser();
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != parent || chdir(folder_.c_str()) != 0) _exit(127);
    dup2(log[1], STDERR_FILENO);
    const std::string server = bin_ + "/postgres";
    const std::string data = folder_ + "/data";
    execl(server.c_str(), "postgres", "-D", data.c_str(), "-k", folder_.c_str(), "-c",
          "listen_addresses=", "-c", "fsync=off", "-c", "logging_collector=off", nullptr);
    _exit(127);
  }
  close(log[1]);
  // The server says when it is ready.
  std::string said;
  char buffer[4096];
  ssize_t size;
  bool ready = false;
  while (!ready && (size = read(log[0], buffer, sizeof(buffer))) > 0) {
    said.append(buffer, static_cast<size_t>(size));
    ready = said.find("ready to accept connections") != std::string::npos;
  }
  if (!ready) std::fprintf(stderr, "%s\n", said.c_str());
  // What else it says is read and forgotten, so that it never waits for us.
  log_reader_ = std::thread([fd = log[0]] {
    char forgotten[4096];
    while (read(fd, forgotten, sizeof(forgotten)) > 0) {
    }
    close(fd);
  });
  return ready;
}

void PostgresCluster::Stop() {
  if (server_ <= 0) return;
  kill(server_, SIGINT);
  waitpid(server_, nullptr, 0);
  server_ = -1;
  log_reader_.join();
}

std::string PostgresCluster::Uri(const std::string& schema) {
  Sql(absl::StrCat("CREATE SCHEMA IF NOT EXISTS ", schema));
  return absl::StrCat("postgresql:///postgres?user=", kUser, "&host=", folder_,
                      "&options=-csearch_path%3D", schema);
}

std::string PostgresCluster::Sql(const std::string& sql) {
  PGconn* connection = PQconnectdb(
      absl::StrCat("host=", folder_, " dbname=postgres user=", kUser).c_str());
  PGresult* result = PQexec(connection, sql.c_str());
  std::string value;
  if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0) {
    value = PQgetvalue(result, 0, 0);
  } else if (PQresultStatus(result) != PGRES_COMMAND_OK) {
    std::fprintf(stderr, "%s: %s\n", sql.c_str(), PQerrorMessage(connection));
  }
  PQclear(result);
  PQfinish(connection);
  return value;
}

}  // namespace picket
