// What there is: chips, clusters, models, algorithms of collectives, pipeline schedules, examples.

#ifndef MESHSTEP_SIM_SIMULATE_CATALOG_H_
#define MESHSTEP_SIM_SIMULATE_CATALOG_H_

#include <string>
#include <vector>

#include "meshstep/v1/report.pb.h"
#include "sim/base/status.h"

namespace meshstep {

// "chips", "clusters", "models", "collectives", "schedules", "examples".
std::vector<std::string> CatalogKinds();

// kind: one of the above. Error: a data file that does not load.
StatusOr<v1::ListReport> Catalog(const std::string& kind);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_CATALOG_H_
