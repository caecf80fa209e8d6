// Lowers a scenario to the tasks of one step.

#ifndef MESHSTEP_STRATEGIES_STEP_LOWER_STEP_H_
#define MESHSTEP_STRATEGIES_STEP_LOWER_STEP_H_

#include <memory>

#include "sim/base/status.h"
#include "strategies/plan/plan.h"
#include "strategies/step/lowered_model.h"
#include "strategies/step/placement.h"
#include "strategies/step/send_transfers.h"
#include "strategies/step/step_fold.h"
#include "strategies/step/step_graph.h"
#include "strategies/step/step_rates.h"
#include "strategies/step/step_units.h"

namespace meshstep {

struct LoweringOptions {
  Fidelity fidelity = Fidelity::kCalibrated;
  bool unfolded = false;
  PlacementCache* placements = nullptr;  // of the scenario's cluster; unset: nothing is kept
};

// Error: the plan cannot be lowered (a placement that does not fit, an algorithm that does not
// run).
StatusOr<StepGraph> LowerStep(const Scenario& scenario, const LoweringOptions& options);

// The same in two parts: what a step is made of, which bounds can be told from
// (strategies/bounds/plan), and its tasks.
class PreparedStep {
 public:
  PreparedStep(PreparedStep&&) noexcept;
  ~PreparedStep();

  const Scenario& scenario() const;
  const LoweredModel& model() const;
  const StepRates& rates() const;
  const TransferTable& transfers() const;
  const SendTransfers& sends() const;
  const std::shared_ptr<const PricedMesh>& priced() const;
  // Made when first asked for: not by several threads at once.
  const StepUnits& units() const;
  // Only to ask for prices of transfers; refers to this.
  StepUnits UnitsForPrices() const;

 private:
  struct Parts;
  friend StatusOr<PreparedStep> PrepareStep(const Scenario& scenario,
                                            const LoweringOptions& options);
  friend StatusOr<StepGraph> EmitStep(const PreparedStep& prepared, const StepFold* fold,
                                      FoldRecord* record);
  explicit PreparedStep(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

// `scenario` must outlive the result.
StatusOr<PreparedStep> PrepareStep(const Scenario& scenario, const LoweringOptions& options);
// fold: emits these micro-batches only, and fills `record`.
StatusOr<StepGraph> EmitStep(const PreparedStep& prepared, const StepFold* fold = nullptr,
                             FoldRecord* record = nullptr);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_LOWER_STEP_H_
