// One plan of a space: its bounds, and its simulation.

#ifndef MESHSTEP_SIM_ADVICE_SEARCH_EVALUATE_H_
#define MESHSTEP_SIM_ADVICE_SEARCH_EVALUATE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "sim/advice/search/plan_space.h"
#include "sim/base/catalog.h"
#include "sim/simulate/simulate.h"
#include "strategies/bounds/plan/plan_bounds.h"
#include "strategies/step/placement.h"

namespace meshstep {

// What is known of a plan. Bounds and times are picoseconds of a step.
struct Evaluated {
  std::int64_t index = 0;
  std::int64_t quick_ps = 0;     // bound of kernels alone
  std::string invalid;           // why the loader refuses it; then nothing below is set
  std::int64_t bound_ps = 0;     // with collectives, no less than that of its group
  std::int64_t least_bytes = 0;  // with the reserve, unless tight plans are taken
  std::string binds;
  bool simulated = false;
  std::int64_t time_ps = 0;
  std::int64_t peak_bytes = 0;  // with the reserve, unless tight plans are taken
};

// What a thread keeps from plan to plan.
class Workspace {
 public:
  Workspace();
  ~Workspace();

 private:
  friend class Evaluator;
  struct Prepared;
  PlacementCache placements_;
  BoundCache bounds_;
  std::unique_ptr<Prepared> last_;  // that was bounded
};

class Evaluator {
 public:
  // allow_tight: memory is the peak alone, not with the reserve beside it.
  Evaluator(const PlanSpace& space, const Catalog& catalog, Fidelity fidelity, bool allow_tight)
      : space_(space),
        catalog_(catalog),
        fidelity_(fidelity),
        allow_tight_(allow_tight),
        placed_alike_(PlacesTensorFirst(space)) {}

  // A bound of all plans that share the choices of plan `index` up to kLastOfGroup, from what they
  // have in common: kernels and transfers of activations. 0: there is none.
  std::int64_t BoundGroup(std::int64_t index, Workspace* workspace) const;
  // Fills in what bounds say; not least_bytes, where bound_ps is above most_ps. Threads may call
  // it, each with a workspace of its own; plans in the order of their indices are quickest, because
  // neighbours often lower to the same blocks.
  Evaluated Bound(std::int64_t index, std::int64_t quick_ps, std::int64_t group_ps,
                  Workspace* workspace, std::int64_t most_ps = Time::Max().ps()) const;
  // Fills in what the simulation says. Error: a bug, or a schedule that waits for itself.
  void Simulate(Evaluated* plan, Workspace* workspace) const;

 private:
  std::int64_t Needs(const Scenario& scenario, std::int64_t peak_bytes) const;
  StatusOr<PreparedStep> Prepare(const Scenario& scenario, Workspace* workspace) const;
  StatusOr<PlanBounds> BoundsOfPlan(std::int64_t index, Time most, Workspace* workspace) const;

  const PlanSpace& space_;
  const Catalog& catalog_;
  const Fidelity fidelity_;
  const bool allow_tight_;
  const bool placed_alike_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_EVALUATE_H_
