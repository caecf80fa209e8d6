// The slow truth of the network: max-min rates by a filling that rescans every link and flow.

#ifndef MESHSTEP_TESTS_SIM_ENGINE_FLUID_TRUTH_H_
#define MESHSTEP_TESTS_SIM_ENGINE_FLUID_TRUTH_H_

#include <algorithm>
#include <limits>
#include <vector>

#include "sim/engine/flow_network.h"

namespace meshstep {

struct TrueFlow {
  std::vector<FlowDemand> demands;
  double weight = 1;
};

// Rates (fraction/s) of `flows` on links of `capacities` (bytes/s). Each round finds the lowest
// phi = weight × rate at which a link fills, from scratch, and fixes the flows of such links.
inline std::vector<double> TrueRates(const std::vector<double>& capacities,
                                     const std::vector<TrueFlow>& flows) {
  std::vector<double> rates(flows.size(), 0);
  while (std::count(rates.begin(), rates.end(), 0.0) > 0) {
    std::vector<long double> left(capacities.begin(), capacities.end());
    std::vector<long double> load(capacities.size(), 0);
    for (std::size_t f = 0; f < flows.size(); ++f) {
      for (const FlowDemand& d : flows[f].demands) {
        const auto l = static_cast<std::size_t>(d.link);
        if (rates[f] == 0) load[l] += d.bytes / static_cast<long double>(flows[f].weight);
        left[l] -= d.bytes * static_cast<long double>(rates[f]);
      }
    }
    long double lowest = std::numeric_limits<long double>::infinity();
    for (std::size_t l = 0; l < capacities.size(); ++l) {
      if (load[l] > 0) lowest = std::min(lowest, left[l] / load[l]);
    }
    std::vector<bool> fix(flows.size(), false);
    for (std::size_t f = 0; f < flows.size(); ++f) {
      for (const FlowDemand& d : flows[f].demands) {
        const auto l = static_cast<std::size_t>(d.link);
        if (rates[f] == 0 && left[l] / load[l] <= lowest * (1 + 1e-12L)) fix[f] = true;
      }
    }
    for (std::size_t f = 0; f < flows.size(); ++f) {
      if (fix[f]) rates[f] = static_cast<double>(lowest / flows[f].weight);
    }
  }
  return rates;
}

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_SIM_ENGINE_FLUID_TRUTH_H_
