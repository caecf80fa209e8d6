// A scenario as a person wrote it: a file or the name of an example, with fields overridden, read
// with the place of every field and loaded.

#ifndef MESHSTEP_SIM_SIMULATE_SCENARIO_FILE_H_
#define MESHSTEP_SIM_SIMULATE_SCENARIO_FILE_H_

#include <string>
#include <vector>

#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/diagnostics.h"
#include "sim/base/status.h"
#include "strategies/plan/plan.h"

namespace meshstep {

struct ScenarioFile {
  std::string path;  // "-": standard input
  v1::Scenario proto;
  Locator locator;    // where a field of `proto` was written
  Scenario scenario;  // `proto` loaded
};

// How files are read.
struct ScenarioFileOptions {
  std::string input_format;       // textproto, json or binary; empty: by the file's ending
  std::vector<std::string> sets;  // PATH=VALUE over the file, as sim/base/set_field.h
};

// A file, or the example of that name, as it is written, not loaded. Error: it cannot be read.
StatusOr<v1::Scenario> ReadScenarioMessage(const std::string& name);

// `name`: a path, the name of an example, or "-". Error: one line per problem, each with file, line
// and field, or "--set" for fields that were overridden.
StatusOr<ScenarioFile> ReadScenarioFile(const std::string& name, const ScenarioFileOptions& options,
                                        const Catalog& catalog);

// The same without loading it: what the file says need not make a scenario yet.
StatusOr<ScenarioFile> ReadScenarioProto(const std::string& name,
                                         const ScenarioFileOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_SCENARIO_FILE_H_
