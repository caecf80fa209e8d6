// Fields of a scenario written over others. Some stand for each other, so that the last one given is
// the one that is meant: a batch in tokens and one in sequences.
//
//   SetScenarioField("workload.global_batch_tokens=4M", &scenario);   // global_batch_sequences goes

#ifndef MESHSTEP_SIM_SIMULATE_SCENARIO_FIELDS_H_
#define MESHSTEP_SIM_SIMULATE_SCENARIO_FIELDS_H_

#include <string>

#include "meshstep/v1/scenario.pb.h"
#include "sim/base/status.h"

namespace meshstep {

// As SetField (sim/base/set_field.h).
Status SetScenarioField(const std::string& assignment, v1::Scenario* scenario);

// As Overlay (sim/base/overlay.h).
void OverlayScenario(const v1::Scenario& from, v1::Scenario* to);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_SCENARIO_FIELDS_H_
