// What there is: chips, clusters, models, frameworks, algorithms of collectives, pipeline
// schedules, examples.

#ifndef MESHSTEP_SIM_SIMULATE_LISTING_H_
#define MESHSTEP_SIM_SIMULATE_LISTING_H_

#include <string>
#include <vector>

#include "meshstep/v1/report.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/status.h"

namespace meshstep {

// "chips", "clusters", "models", "frameworks", "collectives", "schedules", "examples".
std::vector<std::string> ListKinds();

// kind: one of the above. Error: a data file that does not load.
StatusOr<v1::ListReport> List(const std::string& kind, const Catalog& catalog);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_LISTING_H_
