// Mechanisms of the model that can be left out, to see what each is worth.

#ifndef MESHSTEP_SIM_VALIDATION_MECHANISMS_H_
#define MESHSTEP_SIM_VALIDATION_MECHANISMS_H_

#include <string>
#include <vector>

#include "sim/base/catalog.h"
#include "sim/base/status.h"
#include "strategies/plan/plan.h"

namespace meshstep {

// Leaving one out also drops the rows of the kernel table that are labelled with its name
// (strategies/plan/kernel_table.h).
struct Mechanism {
  std::string name;
  const char* what;                    // what is assumed instead
  void (*change)(Scenario* scenario);  // null: only rows are dropped
};
void LeaveOut(const Mechanism& mechanism, Scenario* scenario);

std::vector<Mechanism> Mechanisms();

// One of these, or the label of rows in a file of strategies/frameworks or of one of `frameworks`, as
// plans name them. Error: there is neither; names those there are.
StatusOr<Mechanism> FindMechanism(const std::string& name, const Catalog& catalog,
                                  const std::vector<std::string>& frameworks = {});

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_MECHANISMS_H_
