// Scenarios named on the command line: read, overridden, loaded, simulated; the problems of all of
// them are reported together.

#ifndef MESHSTEP_SIM_CLI_SCENARIO_INPUT_H_
#define MESHSTEP_SIM_CLI_SCENARIO_INPUT_H_

#include <functional>
#include <string>
#include <vector>

#include "meshstep/v1/report.pb.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/diagnostics.h"
#include "sim/base/status.h"
#include "sim/engine/engine.h"
#include "strategies/lowering.h"
#include "strategies/plan.h"

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

struct SimulateOptions {
  bool ideal = false;
  bool unfolded = false;
};
void AddSimulateOptions(CLI::App* command, SimulateOptions* options);

// A scenario as written, with the overrides, and as a value.
struct ScenarioInput {
  std::string file;
  v1::Scenario proto;
  Scenario scenario;
  Locator locator;  // where a field of the scenario was written
};

// Ends the command with every problem of every file if there is one.
std::vector<ScenarioInput> ReadScenarios(const ScenarioOptions& options);
// Called with each scenario that was simulated.
using StepVisitor = std::function<void(const ScenarioInput& input, const StepGraph& step,
                                       const Run& run, const v1::SimulateReport& report)>;
// Error: the plan cannot be lowered, or its schedule deadlocks.
StatusOr<v1::SimulateReport> SimulateOne(const ScenarioInput& input, const SimulateOptions& options,
                                         const StepVisitor& visit = nullptr);
std::vector<v1::SimulateReport> SimulateAll(const std::vector<ScenarioInput>& inputs,
                                            const SimulateOptions& options,
                                            const StepVisitor& visit = nullptr);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CLI_SCENARIO_INPUT_H_
