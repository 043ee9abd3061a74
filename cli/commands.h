// File: commands.h
//
// The commands of `picket`. Each takes the arguments after its name and returns the exit
// code of the process (exit_code.h).
//
// Thread rule: one at a time.

#ifndef CLI_COMMANDS_H_
#define CLI_COMMANDS_H_

#include <string>
#include <vector>

#include "cli/environment.h"

namespace picket {

using Arguments = std::vector<std::string>;

int RunCommand(Environment& env, const Arguments& args);
int ValidateCommand(Environment& env, const Arguments& args);
int SchemaCommand(Environment& env, const Arguments& args);
int QueryCommand(Environment& env, const Arguments& args);
int WatchCommand(Environment& env, const Arguments& args);
int WaitCommand(Environment& env, const Arguments& args);
int CancelCommand(Environment& env, const Arguments& args);
int RunsCommand(Environment& env, const Arguments& args);
int ShowCommand(Environment& env, const Arguments& args);
int ReportCommand(Environment& env, const Arguments& args);
int ReplayCommand(Environment& env, const Arguments& args);
int ExplainCommand(Environment& env, const Arguments& args);
int JudgeCommand(Environment& env, const Arguments& args);
int KeygenCommand(Environment& env, const Arguments& args);
int AttestCommand(Environment& env, const Arguments& args);
int VerifyCommand(Environment& env, const Arguments& args);
int AgentsCommand(Environment& env, const Arguments& args);
int DrainCommand(Environment& env, const Arguments& args);
int VersionCommand(Environment& env, const Arguments& args);

// Picks the command: `args` are those of the process without its name. Flushes both sinks.
int RunCli(Environment& env, const Arguments& args);

}  // namespace picket

#endif  // CLI_COMMANDS_H_
