// File: cluster.h
//
// A PostgreSQL of the test's own: a fresh cluster in a temporary folder, reached by a
// Unix socket there and nowhere else. It ends with the process that made it.

#ifndef TESTS_CONTRACT_POSTGRES_CLUSTER_H_
#define TESTS_CONTRACT_POSTGRES_CLUSTER_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <thread>

namespace picket {

class PostgresCluster {
 public:
  // The one of this process, made at the first call. Null with a reason if this machine
  // has no PostgreSQL server.
  static PostgresCluster* Shared(std::string& reason);

  ~PostgresCluster();
  // Runs until Stop. False: it did not come up.
  bool Start();
  void Stop();
  // An address whose tables are its own: `schema` is made if it is not there.
  std::string Uri(const std::string& schema);
  // Runs one statement on a connection of its own; the first value answered.
  std::string Sql(const std::string& sql);

 private:
  static std::unique_ptr<PostgresCluster> Make(std::string& reason);
  PostgresCluster() = default;
  // Runs a program as the user that the server runs as; its exit code.
  int Run(const std::string& program, const std::string& arguments);

  std::string bin_, folder_;
  pid_t server_ = -1;
  std::thread log_reader_;
};

}  // namespace picket

#endif  // TESTS_CONTRACT_POSTGRES_CLUSTER_H_
