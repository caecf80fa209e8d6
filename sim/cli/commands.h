// The commands of the program, one file each (sim/cli/NAME_command.cc).

#ifndef MESHSTEP_SIM_CLI_COMMANDS_H_
#define MESHSTEP_SIM_CLI_COMMANDS_H_

#include <string>

#include "sim/base/status.h"
#include "sim/report/output.h"

namespace CLI {
class App;
}

namespace meshstep {

// Exit statuses of the program.
inline constexpr int kExitDone = 0;
inline constexpr int kExitInternal = 1;
inline constexpr int kExitInput = 2;
inline constexpr int kExitDoesNotFit = 3;

// Adds --format=text|json|textproto|binary to a command.
void AddFormatOption(CLI::App* command, OutputFormat* format);

// Writes to standard output. Where that fails, a closed pipe included, ends the command with one
// sentence on standard error and kExitInput.
void Print(const std::string& text);

// Ends the running command: prints the message of `status` on standard error, one line per problem,
// and makes the program exit with kExitInput (or kExitInternal if the status is Internal).
[[noreturn]] void Fail(const Status& status);

// Makes the program exit with `code` once the command has printed.
void SetExitCode(int code);

// Each adds one command whose callback does the work.
void AddListCommand(CLI::App* app);
void AddShowCommand(CLI::App* app);
void AddSimulateCommand(CLI::App* app);
void AddCompareCommand(CLI::App* app);
void AddSweepCommand(CLI::App* app);
void AddModelCommand(CLI::App* app);
void AddRooflineCommand(CLI::App* app);
void AddBudgetCommand(CLI::App* app);
void AddCollectiveCommand(CLI::App* app);
void AddValidateCommand(CLI::App* app);
void AddCalibrateCommand(CLI::App* app);
void AddEinsumCommand(CLI::App* app);
void AddImportCommand(CLI::App* app);
void AddCheckCommand(CLI::App* app);
void AddSensitivityCommand(CLI::App* app);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CLI_COMMANDS_H_
