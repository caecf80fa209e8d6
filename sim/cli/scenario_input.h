// Scenarios named on the command line: read, loaded and simulated; the problems of all of them are
// reported together.

#ifndef MESHSTEP_SIM_CLI_SCENARIO_INPUT_H_
#define MESHSTEP_SIM_CLI_SCENARIO_INPUT_H_

#include <functional>
#include <string>
#include <vector>

#include "sim/base/catalog.h"
#include "sim/report/output_file.h"
#include "sim/simulate/scenario_file.h"
#include "sim/simulate/simulate.h"

namespace CLI {
class App;
}

namespace meshstep {

// Options that every command on scenarios takes.
struct ScenarioOptions {
  std::vector<std::string> names;  // a file, an example's name, or "-"
  ScenarioFileOptions files;
};
void AddScenarioOptions(CLI::App* command, ScenarioOptions* options, int at_least, int at_most);

void AddSimulateOptions(CLI::App* command, SimulateOptions* options);

// Ends the command with every problem of every file if there is one.
std::vector<ScenarioFile> ReadScenarios(const ScenarioOptions& options, const Catalog& catalog);
// Ends the command if an output is a file that the scenarios are read from, or that of another one.
void CheckOutputsOf(const std::vector<ScenarioFile>& files,
                    const std::vector<NamedOutput>& outputs);
// `visit` may add to the report of the step.
std::vector<v1::SimulateReport> SimulateAll(
    const std::vector<ScenarioFile>& files, const SimulateOptions& options,
    const std::function<void(const ScenarioFile& file, SimulatedStep& step)>& visit = nullptr);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CLI_SCENARIO_INPUT_H_
