// Scenarios named on the command line: read, overridden, loaded, simulated; the problems of all of
// them are reported together.

#ifndef MESHSTEP_SIM_CLI_SCENARIO_INPUT_H_
#define MESHSTEP_SIM_CLI_SCENARIO_INPUT_H_

#include <string>
#include <vector>

#include "meshstep/v1/report.pb.h"
#include "sim/base/status.h"
#include "sim/simulate/simulate_scenario.h"

namespace CLI {
class App;
}

namespace meshstep {

// Options that every command on scenarios takes.
struct ScenarioOptions {
  std::vector<std::string> files;  // a file, an example's name, or "-"
  std::string input_format;        // for "-", or to override a file's ending
  std::vector<std::string> sets;   // PATH=VALUE
};
void AddScenarioOptions(CLI::App* command, ScenarioOptions* options, int at_least, int at_most);

void AddSimulateOptions(CLI::App* command, SimulateOptions* options);

// Ends the command with every problem of every file if there is one.
std::vector<ScenarioInput> ReadScenarios(const ScenarioOptions& options);
std::vector<v1::SimulateReport> SimulateAll(const std::vector<ScenarioInput>& inputs,
                                            const SimulateOptions& options,
                                            const StepVisitor& visit = nullptr);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CLI_SCENARIO_INPUT_H_
