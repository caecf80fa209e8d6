// Mechanisms of the model that can be left out, to see what each is worth.

#ifndef MESHSTEP_SIM_VALIDATION_MECHANISMS_H_
#define MESHSTEP_SIM_VALIDATION_MECHANISMS_H_

#include <string>
#include <vector>

#include "sim/base/status.h"
#include "strategies/plan/plan.h"

namespace meshstep {

struct Mechanism {
  const char* name;
  const char* what;  // what is assumed instead
  void (*remove)(Scenario* scenario);
};

const std::vector<Mechanism>& Mechanisms();

// Error: there is no such mechanism; names those there are.
StatusOr<const Mechanism*> FindMechanism(const std::string& name);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_MECHANISMS_H_
