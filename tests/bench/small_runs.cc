// Runs of one suite, one after the other, as the command line makes them: its client, its
// calls, a connection of its own each time. What is timed is from CreateRun to the verdict.
//
//   small_runs --coordinator HOST:PORT --suite FILE --runs N
//
// Prints one line a run: "RUN_ID MICROSECONDS".

#include <cstdio>
#include <string>

#include "absl/strings/numbers.h"
#include "cli/load_suites.h"
#include "cli/run_client.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/random.h"

namespace picket {
namespace {

bool RunOnce(const std::string& coordinator, const v1::RunSpec& spec, Random& random) {
  v1::CreateRunRequest request;
  request.set_request_id(NewUuid(random));
  *request.mutable_spec() = spec;
  const std::unique_ptr<RunClient> client = ConnectRunClient({coordinator});
  const absl::Duration begin = Clock::Real()->Monotonic();
  const auto created = client->CreateRun(request, absl::Seconds(30));
  if (!created.ok()) {
    std::fprintf(stderr, "CreateRun: %s\n", created.status().ToString().c_str());
    return false;
  }
  v1::WatchRunResponse last;
  const absl::Status status = client->WatchRun(created->run().run_id(), absl::Minutes(1),
                                               [&](const v1::WatchRunResponse& state) {
                                                 last = state;
                                                 return true;
                                               });
  const absl::Duration took = Clock::Real()->Monotonic() - begin;
  if (last.run().state() != v1::Run::SEALED) {
    std::fprintf(stderr, "WatchRun: %s\n", status.ToString().c_str());
    return false;
  }
  std::printf("%s %lld\n", last.run().run_id().c_str(),
              static_cast<long long>(absl::ToInt64Microseconds(took)));
  return true;
}

int Main(int argc, char** argv) {
  std::string coordinator = "127.0.0.1:7700";
  SuiteFlags flags;
  int runs = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--coordinator") {
      coordinator = argv[i + 1];
    } else if (flag == "--suite") {
      flags.files.push_back(argv[i + 1]);
    } else if (flag != "--runs" || !absl::SimpleAtoi(argv[i + 1], &runs)) {
      return 2;
    }
  }
  const LoadedSuites loaded = LoadSuites(flags);
  for (const std::string& error : loaded.errors) std::fprintf(stderr, "%s\n", error.c_str());
  if (!loaded.errors.empty()) return 2;
  Random random = Random::FromSystem();
  for (int i = 0; i < runs; ++i) {
    if (!RunOnce(coordinator, loaded.spec, random)) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace picket

int main(int argc, char** argv) { return picket::Main(argc, argv); }
