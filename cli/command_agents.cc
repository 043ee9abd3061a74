// agents and drain: the fleet.

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/connection_flags.h"
#include "cli/exit_code.h"
#include "cli/table.h"
#include "common/policy/limits.h"
#include "common/report/proto_json.h"
#include "common/report/run_text.h"

namespace picket {

int AgentsCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket agents", "Lists agents.");
  ConnectionFlags connection;
  bool json = false;
  connection.AddTo(flags);
  flags.Add("json", &json, "", "Prints a JSON array of Agent messages.", {.environment = false});
  if (std::optional<int> code = ParseArguments(env, flags, args)) return *code;
  auto client = connection.Connect(env);
  if (!client.ok()) return FailedCall(env, client.status());
  ScopedInterrupt interrupt(env, **client);
  Printer printer(env.out, {});
  Table table({"AGENT", "LOCATION", "STATE", "VERSION", "CAPACITY", "HELD", "SEEN"});
  v1::ListAgentsRequest request;
  request.set_page_size(static_cast<int32_t>(DefaultLimits().list_page_size));
  bool first = true;
  do {
    const auto page = (*client)->ListAgents(request);
    if (!page.ok()) return FailedCall(env, page.status());
    for (const v1::Agent& agent : page->agents()) {
      if (json) {
        printer.Raw(absl::StrCat(first ? "[\n" : ",\n", ProtoJson(agent)));
        first = false;
        continue;
      }
      table.Add({printer.OutsideCut(agent.name(), 60), printer.Outside(agent.location()),
                 v1::Agent::State_Name(agent.state()), printer.OutsideCut(agent.version(), 20),
                 absl::StrCat(agent.capacity()), absl::StrCat(agent.held()),
                 TimeText(agent.seen_time())});
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  printer.Raw(json ? (first ? "[]\n" : "\n]\n") : table.ToString());
  return kExitPassed;
}

int DrainCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket drain",
                "Lets an agent finish what it has begun, and gives it no more. AGENT is its name, "
                "or LOCATION/NAME where two locations have one of that name.");
  ConnectionFlags connection;
  std::vector<std::string> arguments;
  flags.Positional("AGENT", &arguments, "The agent.", 1, 1);
  connection.AddTo(flags);
  if (std::optional<int> code = ParseArguments(env, flags, args)) return *code;
  auto client = connection.Connect(env);
  if (!client.ok()) return FailedCall(env, client.status());
  ScopedInterrupt interrupt(env, **client);
  v1::DrainAgentRequest request;
  request.set_agent(arguments[0]);
  const auto agent = (*client)->DrainAgent(request);
  if (!agent.ok()) return FailedCall(env, agent.status());
  Printer printer(env.out, {});
  printer.Line(absl::StrCat(printer.Outside(agent->location()), "/", printer.Outside(agent->name()),
                            " is ", v1::Agent::State_Name(agent->state()), " and holds ",
                            agent->held(), agent->held() == 1 ? " execution" : " executions"));
  return kExitPassed;
}

}  // namespace picket
