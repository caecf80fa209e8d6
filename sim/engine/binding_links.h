// Which links can ever limit a flow of a graph.
//
// Problem. A collective on lines of a torus loads thousands of links, each place of a line
// differently; a solver that looks at all of them at every change of flows mostly looks at links
// that never fill first.
//
// Symbols: x_pl = d_pl / C_l, the seconds that phase p keeps link l busy if it is alone.
// Rule. Link l is covered by link m if x_pl <= x_pm for every phase p of the graph. Whatever runs,
// at rates rho: sum_p rho_p x_pl <= sum_p rho_p x_pm <= 1. So l adds nothing to what is feasible,
// every flow on l is on m too, and max-min fair rates (flow_network.h) are the same without l.
//
// Method. Links by falling sum over p of x_pl / max_l x_pl, in which whatever covers a link comes
// before it; each is compared with the one before it, which may be its equal, and with the first
// kMostCompared of those that are kept.
// Complexity: O(kMostCompared · demands), once for a graph; graphs of few links are left as they
// are.
//
// Example: an all-gather over the lines of 8 in a torus of 8 x 8 sends 1, 2, ... 7 blocks over the
// links of each: of 56 links one way one is left, the last of a line.

#ifndef MESHSTEP_SIM_ENGINE_BINDING_LINKS_H_
#define MESHSTEP_SIM_ENGINE_BINDING_LINKS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/task_graph.h"

namespace meshstep {

class BindingLinks {
 public:
  // The graph must outlive it.
  explicit BindingLinks(const TaskGraph& graph);

  // Of the phase, on links that are not covered.
  std::span<const FlowDemand> demands(PatternId pattern, std::size_t phase) const {
    if (begin_.empty()) return graph_.phases(pattern)[phase].demands;
    const std::size_t p = first_phase_[static_cast<std::size_t>(pattern)] + phase;
    return {demands_.data() + begin_[p], demands_.data() + begin_[p + 1]};
  }
  // Demands that are kept.
  std::size_t kept() const { return demands_.size(); }

 private:
  std::vector<bool> KeptLinks(std::size_t phases) const;

  const TaskGraph& graph_;
  std::vector<std::size_t> first_phase_;  // per pattern; that of tasks only
  std::vector<std::size_t> begin_;        // per phase; empty: all demands are kept
  std::vector<FlowDemand> demands_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ENGINE_BINDING_LINKS_H_
